"""Turn rows of PgBouncer's SHOW commands into clients, servers, time-outs, limits and modes.

Columns are read by name because their order and number depend on the version. Version 1.18 added
`application_name`, 1.23 inserted `replication` fourth, 1.24 put an `id` at the end.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerDatabase, BouncerLimits
from poolscope_exporter.core.model.endpoints import Endpoint, is_loopback
from poolscope_exporter.core.model.pgbouncers import (
    FIRST_TO_TRACK,
    BouncerClient,
    BouncerSample,
    BouncerServer,
    ClientQueue,
    ClientState,
    PoolingSettings,
    PoolMode,
    Version,
    socket_of,
)
from poolscope_exporter.polling.dsn import CONSOLE

Row = Mapping[str, Any]

UNIX = "unix"
"""The address that PgBouncer shows for either end of a Unix socket."""

TIMEOUTS = (
    "client_idle_timeout",
    "server_idle_timeout",
    "idle_transaction_timeout",
    "transaction_timeout",
    "query_wait_timeout",
    "server_lifetime",
)
"""The settings that end a connection which the application or PgBouncer still expects to use."""


def sample_of(
    bouncer: str, rows: Iterable[Row], taken_at_s: float, answered_at_s: float
) -> BouncerSample:
    """Return the sample that the rows of SHOW SOCKETS describe; KeyError if a column is missing.

    Clients of the console, which include the exporter, are left out: no application is one of them.
    """
    told = list(rows)
    relevant = [row for row in told if row["database"] != CONSOLE]
    clients = [row for row in relevant if row["type"] == "C"]
    servers = [row for row in relevant if row["type"] == "S"]
    reachable = [row for row in clients if row["addr"] != UNIX]
    counts: Counter[ClientState] = Counter(dict.fromkeys(ClientState, 0))
    counts.update(_state(row) for row in clients)
    return BouncerSample(
        bouncer=bouncer,
        taken_at_s=taken_at_s,
        answered_at_s=answered_at_s,
        clients={socket_of(_remote(row)): _client(row) for row in reachable},
        servers={row["ptr"]: _server(row) for row in servers},
        counts=counts,
        addresses=frozenset(_local(row) for row in reachable if not is_loopback(row["local_addr"])),
        total_clients=sum(row["type"] == "C" for row in told),
        serving=_serving(servers),
        queues=_queues(clients),
    )


def _serving(servers: Iterable[Row]) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in servers:
        counts[row["database"], row["user"]] += bool(row["link"])
    return dict(counts)


def _queues(clients: Iterable[Row]) -> dict[tuple[str, str], ClientQueue]:
    waits: dict[tuple[str, str], list[float]] = {}
    for row in clients:
        if _state(row) is ClientState.WAITING:
            waits.setdefault((row["database"], row["user"]), []).append(_waits_s(row))
    return {pool: ClientQueue(len(each), max(each)) for pool, each in waits.items()}


def timeouts_of(rows: Iterable[Row]) -> dict[str, float]:
    """Return the time-outs of SHOW CONFIG in seconds; 0 means none."""
    settings = {row["key"]: row["value"] for row in rows}
    return {name: float(settings[name]) for name in TIMEOUTS if settings.get(name)}


def shares_its_port(rows: Iterable[Row]) -> bool:
    """Return whether other PgBouncer processes answer on the same port, by SHOW CONFIG."""
    return any(row["key"] == "so_reuseport" and row["value"] == "1" for row in rows)


def _client(row: Row) -> BouncerClient:
    return BouncerClient(
        state=_state(row),
        server=row["link"] or None,
        last_request=str(row["request_time"]),
        waits_s=_waits_s(row),
        user=str(row["user"]),
        database=str(row["database"]),
    )


def _waits_s(row: Row) -> float:
    return int(row["wait"]) + int(row["wait_us"]) / 1_000_000


def _state(row: Row) -> ClientState:
    """Return the state; older versions call a client active that has no server connection."""
    if "waiting" in row["state"]:
        return ClientState.WAITING
    return ClientState.ACTIVE if row["link"] else ClientState.IDLE


def _server(row: Row) -> BouncerServer:
    is_unix = row["addr"] == UNIX
    return BouncerServer(
        remote=_remote(row),
        local_port=None if is_unix else int(row["local_port"]),
        pid=int(row["remote_pid"]),
        user=str(row["user"]),
    )


def _remote(row: Row) -> Endpoint:
    return Endpoint(row["addr"], int(row["port"]))


def _local(row: Row) -> Endpoint:
    return Endpoint(row["local_addr"], int(row["local_port"]))


def limits_of(
    config: Iterable[Row], databases: Iterable[Row], users: Iterable[Row]
) -> BouncerLimits | None:
    """Return the limits, or None if SHOW CONFIG does not show the limit of clients."""
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
    """Return a limit, or None for PgBouncer's 0, which means no limit."""
    return int(value) if value and int(value) > 0 else None


def pooling_of(
    version: str, config: Iterable[Row], databases: Iterable[Row], users: Iterable[Row]
) -> PoolingSettings:
    """Return the pool modes, and the number of tracked prepared statements."""
    settings = {row["key"]: row["value"] for row in config}
    return PoolingSettings(
        default_mode=_mode(settings.get("pool_mode")),
        databases=_modes(databases),
        users=_modes(users),
        max_prepared_statements=_tracked(settings.get("max_prepared_statements"), version),
        version=version_of(version),
    )


def version_of(version: str) -> Version | None:
    """Return the version from the answer to SHOW VERSION, or None if another program answers."""
    found = re.match(r"PgBouncer (\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def _tracked(setting: str | None, version: str) -> int | None:
    if setting is not None:
        return int(setting) if setting.isdigit() else None
    known = version_of(version)
    return 0 if known is not None and known < FIRST_TO_TRACK else None


def _modes(rows: Iterable[Row]) -> dict[str, PoolMode]:
    found = {row["name"]: _mode(row.get("pool_mode")) for row in rows}
    return {name: mode for name, mode in found.items() if mode is not None}


def _mode(name: str | None) -> PoolMode | None:
    return PoolMode(name) if name in set(PoolMode) else None
