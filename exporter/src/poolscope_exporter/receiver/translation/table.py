"""The one table of names, attributes and units that other senders use, over all versions.

`translate.py` applies it attribute by attribute, because real senders mix versions: the Java agent
2.11 sends new names with old attributes. A test compares the table with the published conventions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import CloseReason, ConnectionState, FailureReason, Kind, Metric


@dataclass(frozen=True, slots=True)
class Translation:
    """The metric of the catalogue that a sender's metric means.

    `sets` are attributes that the sender expresses by the name of its metric. `renames` are the
    attributes that only this sender names so. `defaults` are attributes that it may leave out.
    """

    metric: Metric
    sets: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)


CONVENTIONS: Final[Mapping[str, Translation]] = {
    "db.client.connection.limit": Translation(catalogue.MAX),
    "db.client.connections.usage": Translation(catalogue.COUNT),
    "db.client.connections.idle.max": Translation(catalogue.IDLE_MAX),
    "db.client.connections.idle.min": Translation(catalogue.IDLE_MIN),
    "db.client.connections.max": Translation(catalogue.MAX),
    "db.client.connections.pending_requests": Translation(catalogue.PENDING_REQUESTS),
    "db.client.connections.timeouts": Translation(catalogue.TIMEOUTS),
    "db.client.connections.create_time": Translation(catalogue.CREATE_TIME),
    "db.client.connections.wait_time": Translation(catalogue.WAIT_TIME),
    "db.client.connections.use_time": Translation(catalogue.USE_TIME),
}
"""Names of the semantic conventions, except those of the catalogue.

The conventions renamed `.max` to `.limit` in 2026; the catalogue keeps `.max` until they settle.
"""

_IDLE: Final = {catalogue.CONNECTION_STATE: ConnectionState.IDLE.value}
_USED: Final = {catalogue.CONNECTION_STATE: ConnectionState.USED.value}

_HIKARI_POOL: Final = {"pool": catalogue.POOL_NAME}

MICROMETER: Final[Mapping[str, Translation]] = {
    "hikaricp.connections.active": Translation(catalogue.COUNT, _USED, _HIKARI_POOL),
    "hikaricp.connections.idle": Translation(catalogue.COUNT, _IDLE, _HIKARI_POOL),
    "hikaricp.connections.max": Translation(catalogue.MAX, {}, _HIKARI_POOL),
    "hikaricp.connections.min": Translation(catalogue.IDLE_MIN, {}, _HIKARI_POOL),
    "hikaricp.connections.pending": Translation(catalogue.PENDING_REQUESTS, {}, _HIKARI_POOL),
    "hikaricp.connections.timeout": Translation(catalogue.TIMEOUTS, {}, _HIKARI_POOL),
    "hikaricp.connections.creation": Translation(catalogue.CREATE_TIME, {}, _HIKARI_POOL),
    "hikaricp.connections.acquire": Translation(catalogue.WAIT_TIME, {}, _HIKARI_POOL),
    "hikaricp.connections.usage": Translation(catalogue.USE_TIME, {}, _HIKARI_POOL),
}
"""Metrics that HikariCP registers with Micrometer; Spring Boot pushes them."""

_SQL_DEFAULTS: Final = {catalogue.POOL_NAME: "database/sql"}
"""otelsql sends no attribute at all by default, and a pool needs a name."""


def _sql(metric: Metric, sets: Mapping[str, str] | None = None) -> Translation:
    renames = {"status": catalogue.CONNECTION_STATE}
    return Translation(metric, sets or {}, renames, _SQL_DEFAULTS)


def _closed(reason: CloseReason) -> dict[str, str]:
    return {catalogue.REASON: reason.value}


DATABASE_SQL: Final[Mapping[str, Translation]] = {
    "db.sql.connection.open": _sql(catalogue.COUNT),
    "db.sql.connection.max_open": _sql(catalogue.MAX),
    "db.sql.connection.closed_max_idle": _sql(catalogue.CLOSED, _closed(CloseReason.OVERFLOW)),
    "db.sql.connection.closed_max_idle_time": _sql(catalogue.CLOSED, _closed(CloseReason.IDLE)),
    "db.sql.connection.closed_max_lifetime": _sql(catalogue.CLOSED, _closed(CloseReason.RECYCLED)),
}
"""Metrics of Go's `database/sql` by XSAM/otelsql."""

PGX: Final[Mapping[str, Translation]] = {
    "pgxpool.acquired_connections": Translation(catalogue.COUNT, _USED),
    "pgxpool.idle_connections": Translation(catalogue.COUNT, _IDLE),
    "pgxpool.max_connections": Translation(catalogue.MAX),
    "pgxpool.acquires": Translation(catalogue.CHECKOUTS),
    "pgxpool.canceled_acquires": Translation(
        catalogue.CHECKOUT_FAILURES, {catalogue.REASON: FailureReason.CANCELLED.value}
    ),
    "pgxpool.new_connections": Translation(catalogue.OPENED),
    "pgxpool.max_idle_destroys": Translation(catalogue.CLOSED, _closed(CloseReason.IDLE)),
    "pgxpool.max_lifetime_destroys": Translation(catalogue.CLOSED, _closed(CloseReason.RECYCLED)),
}
"""Metrics of Go's `pgxpool` by exaring/otelpgx. A wait that its context ends is `cancelled`."""

TRANSLATIONS: Final[Mapping[str, Translation]] = {
    **CONVENTIONS, **MICROMETER, **DATABASE_SQL, **PGX,
}  # fmt: skip
"""All translations. If one push has a series under two names, the name that comes first counts."""

UNUSED: Final[Mapping[str, str]] = {
    "hikaricp.connections": "the sum of `active` and `idle`",
    "db.sql.connection.wait": "the number of waits that ended or not: no metric of the conventions",
    "db.sql.connection.wait_duration": "a sum without its histogram",
    "pgxpool.acquire_duration": "a sum without its histogram",
    "pgxpool.constructing_connections": "connections that open, which the conventions do not count",
    "pgxpool.empty_acquire": "waits that succeeded: no metric of the conventions",
    "pgxpool.empty_acquire_wait_time": "a sum without its histogram",
    "pgxpool.total_connections": "the sum of the other numbers of connections",
}
"""Metrics of these senders that poolscope does not use, each with the reason."""

ATTRIBUTES: Final[Mapping[str, str]] = {
    "pool.name": catalogue.POOL_NAME,
    "state": catalogue.CONNECTION_STATE,
    "db.client.connections.pool.name": catalogue.POOL_NAME,
    "db.client.connections.state": catalogue.CONNECTION_STATE,
    "db.name": catalogue.DB_NAMESPACE,
    "net.peer.name": catalogue.SERVER_ADDRESS,
    "net.peer.port": catalogue.SERVER_PORT,
}
"""Older names of attributes of the conventions. If a point has both names, the newer counts."""

VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    catalogue.CONNECTION_STATE: {
        "inuse": ConnectionState.USED.value,
        "in_use": ConnectionState.USED.value,
        "active": ConnectionState.USED.value,
    },
}
"""Values of attributes that senders use instead of those of the conventions."""

COUNTED: Final = frozenset(
    ("", "1", "connection", "connections", "request", "requests", "timeout", "timeouts")
)
"""Units of a number of things, beside every annotation in braces.

Python's instrumentation of SQLAlchemy writes `connections`.
"""

PER_SECOND: Final[Mapping[str, float]] = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "ms": 1e3, "millisecond": 1e3, "milliseconds": 1e3,
    "us": 1e6, "µs": 1e6, "microsecond": 1e6, "microseconds": 1e6,
    "ns": 1e9, "nanosecond": 1e9, "nanoseconds": 1e9,
}  # fmt: skip
"""Units of time, by the number of them in a second; Micrometer writes them in full."""

NO_LIMIT: Final = 2**31 - 1
"""Pools of Java without a limit report the largest integer."""

KNOWN: Final[Mapping[str, Metric]] = {
    metric.name: metric for metric in catalogue.METRICS if metric.scope == catalogue.SCOPE
}


def meaning_of(name: str) -> Translation | None:
    """Return what a metric means; None if it is neither in the catalogue nor translated."""
    known = KNOWN.get(name)
    return Translation(known) if known else TRANSLATIONS.get(name)


CONVENTION_PREFIXES: Final = ("db.client.connection.", "db.client.connections.")


def is_about_pools(name: str) -> bool:
    """Return whether the exporter must keep or refuse a metric; it ignores all others."""
    return name in TRANSLATIONS or name.startswith((*CONVENTION_PREFIXES, "poolscope."))


def is_time(metric: Metric) -> bool:
    """Return whether the values of a metric are seconds."""
    return metric.unit == "s"


def is_count(metric: Metric) -> bool:
    """Return whether the values of a metric are a number of things."""
    return metric.unit.startswith("{")


def is_unlimited(metric: Metric, value: float) -> bool:
    """Return whether a value of a limit means that there is none: then the limit is unknown."""
    if metric.kind not in (Kind.UP_DOWN_COUNTER, Kind.GAUGE):
        return False
    if metric is catalogue.MAX:
        return value <= 0 or value >= NO_LIMIT
    return metric is catalogue.IDLE_MAX and (value < 0 or value >= NO_LIMIT)
