"""Values of one series add up, whatever the order in which they are merged."""

import pytest

from poolscope_exporter.core.model.pushes import HistogramValue, add_values

SMALL = HistogramValue((0.1, 1.0), (1, 0, 2), 2.0)
LARGE = HistogramValue((0.1, 1.0), (10, 30, 20), 20.5)
OTHER_BOUNDS = HistogramValue((0.5,), (1, 1), 1.0)


def test_numbers_add_up() -> None:
    assert add_values(2.0, 3) == 5.0


def test_histograms_with_equal_bounds_add_up_by_bucket() -> None:
    expected = HistogramValue((0.1, 1.0), (11, 30, 22), 22.5)
    assert add_values(SMALL, LARGE) == add_values(LARGE, SMALL) == expected


@pytest.mark.parametrize(
    ("earlier", "later"),
    [(SMALL, OTHER_BOUNDS), (OTHER_BOUNDS, SMALL), (SMALL, 3.0), (3.0, SMALL)],
)
def test_what_cannot_be_added_starts_anew_with_the_later_value(
    earlier: float | HistogramValue, later: float | HistogramValue
) -> None:
    assert add_values(earlier, later) == later
