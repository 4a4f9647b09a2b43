"""SHOW POOLS and SHOW STATS of each version: what a version lacks is unknown, not zero."""

from typing import Any

import pytest

from poolscope_exporter.core.model.bouncer_traffic import DatabaseTotals, LentConnections
from poolscope_exporter.pgbouncer.traffic_rows import pools_of, totals_of

POOL_1_18 = {
    "database": "orders",
    "user": "shop",
    "cl_active": 3,
    "cl_waiting": 2,
    "sv_active": 2,
    "sv_idle": 1,
    "maxwait": 4,
    "maxwait_us": 250_000,
    "pool_mode": "transaction",
}
STATS_1_18 = {
    "database": "orders",
    "total_xact_count": 30,
    "total_query_count": 90,
    "total_wait_time": 12_500_000,
    "avg_wait_time": 7,
}


def test_a_pool_has_its_waiting_clients_and_the_longest_wait() -> None:
    expected = LentConnections("orders", "shop", 3, 2, 4.25, 2, 1)

    assert pools_of([POOL_1_18]) == (expected,)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, DatabaseTotals("orders", 12.5, 90, 30)),
        (
            {"total_server_assignment_count": 31},
            DatabaseTotals("orders", 12.5, 90, 30, 31),
        ),
    ],
    ids=["1.18", "1.23"],
)
def test_totals_are_in_seconds_and_counts(
    columns: dict[str, Any], expected: DatabaseTotals
) -> None:
    assert totals_of([{**STATS_1_18, **columns}]) == (expected,)


@pytest.mark.parametrize("column", ["cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait"])
def test_a_column_that_a_version_lacks_is_unknown(column: str) -> None:
    row = {name: value for name, value in POOL_1_18.items() if name != column}
    [found] = pools_of([row])

    numbers = (found.active, found.waiting, found.lent, found.idle, found.longest_s)
    assert numbers.count(None) == 1


def test_without_microseconds_the_longest_wait_is_in_whole_seconds() -> None:
    row = {name: value for name, value in POOL_1_18.items() if name != "maxwait_us"}
    [found] = pools_of([row])

    assert found.longest_s == 4.0


def test_the_console_and_rows_without_a_name_are_left_out() -> None:
    assert pools_of([{**POOL_1_18, "database": "pgbouncer"}, {"cl_waiting": 1}]) == ()
    assert totals_of([{**STATS_1_18, "database": "pgbouncer"}, {"total_wait_time": 1}]) == ()
