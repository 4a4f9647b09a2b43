"""A counter grew when it did so over the last few pushes of its pool."""

import pytest

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind
from poolscope_exporter.core.fleet.growth import Growth, GrowthHistory, growth_of, marks_of
from poolscope_exporter.core.fleet.retention import GROWTH_PUSHES
from support.exporter.builders import a_point, a_pool


def test_growth_of_a_single_push_is_unknown() -> None:
    assert growth_of([]) == growth_of([{"timeouts": 5.0}]) == Growth()


@pytest.mark.parametrize(
    ("history", "grown"),
    [
        ([{"timeouts": 5.0}, {"timeouts": 5.0}], 0.0),
        ([{"timeouts": 5.0}, {"timeouts": 6.0}, {"timeouts": 8.0}], 3.0),
        ([{}, {"timeouts": 2.0}], 2.0),
        ([{"timeouts": 9.0}, {"timeouts": 1.0}], 1.0),
        ([{"timeouts": 9.0}, {}], None),
    ],
)
def test_growth_is_from_the_first_to_the_last_push(
    history: list[dict[str, float]], grown: float | None
) -> None:
    assert growth_of(history).timeouts == grown


def test_only_refusals_for_too_many_connections_are_marked() -> None:
    points = [
        a_point(catalogue.CONNECT_ERRORS, n, attributes={catalogue.KIND: str(kind)})
        for n, kind in enumerate(ConnectErrorKind, start=1)
    ]
    expected = list(ConnectErrorKind).index(ConnectErrorKind.TOO_MANY_CONNECTIONS) + 1
    assert marks_of(points) == {"too_many_connections": expected}


def test_growth_counts_from_so_many_pushes_ago_and_no_further() -> None:
    history = GrowthHistory()
    for value in (0.0, 100.0, 101.0, 103.0, 106.0):
        history.record_counters({a_pool(): [a_point(catalogue.TIMEOUTS, value)]})
    assert GROWTH_PUSHES == 3
    assert history.pool_growth(a_pool()).timeouts == 6.0


def test_growth_of_a_pool_that_a_push_leaves_out_begins_again() -> None:
    history = GrowthHistory()
    for points in ({a_pool(): [a_point(catalogue.TIMEOUTS, 1.0)]}, {}):
        history.record_counters(points)
    history.record_counters({a_pool(): [a_point(catalogue.TIMEOUTS, 9.0)]})
    assert history.pool_growth(a_pool()) == Growth()
