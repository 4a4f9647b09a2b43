"""Turn rows of PgBouncer's SHOW POOLS and SHOW STATS into the use of its pools.

Columns are read by name. A column that a version lacks is unknown: 1.23 added the number of server
assignments to SHOW STATS.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from poolscope_exporter.core.model.bouncer_traffic import DatabaseTotals, LentConnections
from poolscope_exporter.polling.dsn import CONSOLE

Row = Mapping[str, Any]

_MICROSECONDS = 1_000_000


def pools_of(rows: Iterable[Row]) -> tuple[LentConnections, ...]:
    """Return the pools that SHOW POOLS describes, without that of the console."""
    return tuple(
        LentConnections(
            database=str(row["database"]),
            user=str(row["user"]),
            active=_count(row, "cl_active"),
            waiting=_count(row, "cl_waiting"),
            longest_s=_longest_s(row),
            lent=_count(row, "sv_active"),
            idle=_count(row, "sv_idle"),
        )
        for row in rows
        if row.get("database") not in (None, CONSOLE) and row.get("user") is not None
    )


def totals_of(rows: Iterable[Row]) -> tuple[DatabaseTotals, ...]:
    """Return the totals that SHOW STATS describes, without those of the console."""
    return tuple(
        DatabaseTotals(
            database=str(row["database"]),
            waited_s=_seconds(row, "total_wait_time"),
            queries=_count(row, "total_query_count"),
            transactions=_count(row, "total_xact_count"),
            assignments=_count(row, "total_server_assignment_count"),
        )
        for row in rows
        if row.get("database") not in (None, CONSOLE)
    )


def _count(row: Row, column: str) -> int | None:
    value = row.get(column)
    return None if value is None else int(value)


def _seconds(row: Row, column: str) -> float | None:
    value = row.get(column)
    return None if value is None else int(value) / _MICROSECONDS


def _longest_s(row: Row) -> float | None:
    whole = _count(row, "maxwait")
    # Without the column of microseconds, the whole seconds are the best that the version has.
    return None if whole is None else whole + (_seconds(row, "maxwait_us") or 0.0)
