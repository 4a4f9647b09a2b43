"""The tables of `make bench` hold each figure against its budget, with its error."""

import pytest

from benchmarks.loop_watch import IdleCost
from benchmarks.report import idle_table


@pytest.mark.parametrize(
    ("added_us", "error_us", "verdict"),
    [
        (80.0, 20.0, "within"),
        (80.0, 20.1, "too noisy to tell"),
        (120.0, 20.0, "too noisy to tell"),
        (120.1, 20.0, "**over**"),
    ],
)
def test_the_loop_watch_is_held_against_its_budget_with_its_error(
    added_us: float, error_us: float, verdict: str
) -> None:
    [_, _, row] = idle_table({"uvloop": IdleCost(10.0, 300.0, 380.0, added_us, error_us)})
    assert row.startswith("| uvloop | 10 µs | 300 µs | 380 µs |")
    assert row.endswith(f"| {verdict} |")
