"""Turn PgBouncer's SHOW CONFIG, SHOW DATABASES and SHOW USERS into its limits.

Columns are read by name, and those that only later versions have are optional: `reserve_pool`
became `reserve_pool_size` in 1.24, SHOW USERS told limits from 1.23 on. A user's own `pool_size`
(1.24) is not read: SHOW USERS repeats it for the users after, who have none.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerDatabase, BouncerLimits
from poolscope_exporter.polling.dsn import CONSOLE

Row = Mapping[str, Any]


def limits_of(
    config: Iterable[Row], databases: Iterable[Row], users: Iterable[Row]
) -> BouncerLimits | None:
    """Return the limits, None where SHOW CONFIG does not tell the clients'."""
    settings = {row["key"]: row["value"] for row in config}
    max_clients = settings.get("max_client_conn")
    if not max_clients:
        return None
    found = {row["name"]: _database(row) for row in databases if row["name"] != CONSOLE}
    default = _limit(settings.get("max_user_connections"))
    limits = {row["name"]: _limit(row.get("max_user_connections")) or default for row in users}
    return BouncerLimits(
        max_clients=int(max_clients),
        databases={name: each for name, each in found.items() if each},
        users={name: limit for name, limit in limits.items() if limit},
    )


def _database(row: Row) -> BouncerDatabase | None:
    if row.get("pool_size") is None:
        return None
    reserve = row.get("reserve_pool_size", row.get("reserve_pool"))
    return BouncerDatabase(
        pool_size=int(row["pool_size"]) + int(reserve or 0),
        max_connections=_limit(row.get("max_connections")),
        is_paused=bool(int(row.get("paused") or 0)),
    )


def _limit(value: Any) -> int | None:
    """Return a limit; PgBouncer says 0 for none."""
    return int(value) if value and int(value) > 0 else None
