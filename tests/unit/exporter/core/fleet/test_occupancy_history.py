"""The exporter keeps what connections were out for: by window, and as counters."""

from poolscope.catalogue import OTHER, Doing
from poolscope_exporter.core.fleet.occupancy_history import (
    KEPT_S,
    MAX_CALLS,
    MAX_ROWS,
    MAX_ROWS_PER_PUSH,
    OccupancyHistory,
)
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.model.pushes import Occupied
from support.exporter.builders import a_pool

HTTPX = "httpx.AsyncClient.get"


def occupied(call: str = HTTPX, route: str = "/checkout", doing: str | None = None) -> Occupied:
    return Occupied(a_pool(), route, "shop.py:1", "pay.py:5", call, doing or call)


def counted(history: OccupancyHistory) -> dict[tuple[str, str], float]:
    return {(total.route, total.metric): total.value for total in history.totals.totals()}


def test_rows_of_pushes_add_up_within_the_window() -> None:
    history = OccupancyHistory()
    history.record_occupancy({occupied(): 4.0}, 1_000.0)
    history.record_occupancy({occupied(): 3.0, occupied("", doing=Doing.DATABASE): 1.0}, 1_050.0)
    assert sorted(each.seconds for each in history.rows_since(940.0)) == [1.0, 7.0]
    assert sorted(each.seconds for each in history.rows_since(1_040.0)) == [1.0, 3.0]
    assert counted(history) == {("/checkout", HTTPX): 7.0, ("/checkout", "database"): 1.0}


def test_rows_older_than_the_longest_window_are_dropped_and_counters_stay() -> None:
    history = OccupancyHistory()
    history.record_occupancy({occupied(): 4.0}, 1_000.0)
    history.record_occupancy({}, 1_000.0 + KEPT_S + 20)
    assert list(history.rows_since(0.0)) == []
    assert counted(history) == {("/checkout", HTTPX): 4.0}


def test_calls_above_the_limit_count_as_other() -> None:
    history = OccupancyHistory()
    rows = {occupied(f"library.call{number}"): 1.0 for number in range(MAX_CALLS + 5)}
    history.record_occupancy({**rows, occupied("", doing=Doing.APPLICATION): 2.0}, 1.0)
    found = counted(history)
    assert found["/checkout", OTHER] == 5.0
    assert found["/checkout", "application"] == 2.0
    assert len(found) == MAX_CALLS + 2


def test_a_push_has_at_most_so_many_rows() -> None:
    history = OccupancyHistory()
    rows = {occupied(route=f"/{number}"): 1.0 for number in range(MAX_ROWS_PER_PUSH + 50)}
    history.record_occupancy(rows, 1.0)
    assert sum(each.seconds for each in history.rows_since(0.0)) == MAX_ROWS_PER_PUSH


def test_rows_above_the_limit_lose_their_lines_and_no_seconds() -> None:
    history = OccupancyHistory()
    for begin in range(0, MAX_ROWS + 200, 200):
        rows = {occupied(route=f"/{begin + number}"): 1.0 for number in range(200)}
        history.record_occupancy(rows, 1.0)
    found = list(history.rows_since(0.0))
    assert len(found) == MAX_ROWS + 1
    rest = [each for each in found if each.key.route == OTHER]
    assert [each.seconds for each in rest] == [200.0]
    assert rest[0].pool == service_pool_of(a_pool())
