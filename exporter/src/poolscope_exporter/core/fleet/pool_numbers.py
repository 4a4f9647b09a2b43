"""Read the numbers of one pool from its series, for judging and for the live page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import ConnectionState, Metric, Phase, StatementSetting
from poolscope_exporter.core.fleet.growth import UNKNOWN_GROWTH, Growth
from poolscope_exporter.core.fleet.point_sums import PointSums, whole
from poolscope_exporter.core.fleet.process_numbers import UNKNOWN_PROCESS, ProcessNumbers
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters
from poolscope_exporter.core.model.checkouts import InheritedConnection
from poolscope_exporter.core.model.pushes import Point, PoolGeneration, PoolsMade

ONE_MAXIMUM: Final = frozenset({"asyncpg", "psycopg_pool"})
"""Libraries with pools that have a max_size and no overflow; their `size` is the min_size."""

LEAST_PINGS: Final = 20
"""With fewer pings, one slow ping at a busy moment would decide the mean and blame the network."""


@dataclass(frozen=True, slots=True)
class SharedUses:
    """The number of uses of a connection by a second owner, and the most common pair of lines.

    The connection was taken at the first line, and used by the second owner at the other. A line
    that the sender does not report is None.
    """

    count: int
    taken_at: str | None = None
    used_at: str | None = None

    @property
    def where(self) -> str:
        """Return the two lines as the beginning of a text, or "" if one is unknown."""
        if not self.taken_at or not self.used_at:
            return ""
        return f"taken at {self.taken_at}, also used at {self.used_at}. "


_DRIVERS = {
    StatementSetting.STATEMENT_CACHE_SIZE: "asyncpg",
    StatementSetting.PREPARE_THRESHOLD: "psycopg",
    "": "psycopg2",
}
"""The drivers by a setting for prepared statements; psycopg2 reports that it has none."""


@dataclass(frozen=True, slots=True)
class PoolNumbers:
    """The numbers of one pool; None is unknown, or has no meaning for the class of the pool.

    Names in `_s` are seconds; names in `_total` are counts since the start.

    Checkouts that are old or have evidence: `held_total`. The part of them that the application has
    described: `listed_total`. Checkouts of holders that wait for another connection of the pool:
    `held_by_waiters`. Checkouts of requests that wait for a worker thread: `awaiting_thread`.

    The mean time of a liveness check since the start: `ping_s`, None before 20 checks. The time
    within which 95 % of the connections opened: `create_p95_s`. If there is no limit,
    `connect_timeout_s` and `idle_timeout_s` are 0.

    The waiters by phase: `pending_by_phase`. The age of the oldest one: `oldest_wait_s`. Both have
    no phase without waiters. The longest waiters, grouped by request and line: `waiters`.

    Connections that count as used although no code can return them: `lost_places`. The settings
    that make the driver keep prepared statements: `statement_settings`. The number of pools of this
    name: `made`. The pools that had the name one after another: `generation`. Connections that
    other processes share since a fork: `inherited`.
    """

    idle: int | None = None
    used: int | None = None
    max: int | None = None
    pending: int | None = None
    idle_max: int | None = None
    idle_min: int | None = None
    size: int | None = None
    max_overflow: int | None = None
    overflow: int | None = None
    timeout_s: float | None = None
    connect_timeout_s: float | None = None
    create_p95_s: float | None = None
    recycle_s: float | None = None
    idle_timeout_s: float | None = None
    pre_ping: bool | None = None
    ping_s: float | None = None
    keepalive_s: float | None = None
    pool_class: str | None = None
    library: str | None = None
    driver: str | None = None
    timeouts_total: int | None = None
    checkouts_total: int | None = None
    checkins_total: int | None = None
    leaks_total: int | None = None
    leaks_recovered_total: int | None = None
    blocking_checkouts_total: int | None = None
    shared: SharedUses | None = None
    held_total: int | None = None
    listed_total: int | None = None
    lost_places: int | None = None
    pending_by_phase: Mapping[Phase, int] = field(default_factory=dict)
    oldest_wait_s: Mapping[Phase, float] = field(default_factory=dict)
    growth: Growth = UNKNOWN_GROWTH
    waiters: PoolWaiters | None = None
    statement_settings: frozenset[StatementSetting] | None = None
    generation: PoolGeneration | None = None
    made: PoolsMade | None = None
    held_by_waiters: int | None = None
    awaiting_thread: int | None = None
    process: ProcessNumbers = UNKNOWN_PROCESS
    inherited: tuple[InheritedConnection, ...] = ()


def numbers_of(
    points: Iterable[Point],
    held: tuple[int, int] | None,
    growth: Growth,
    waiters: PoolWaiters | None = None,
    *,
    generation: PoolGeneration | None = None,
    made: PoolsMade | None = None,
    process: ProcessNumbers = UNKNOWN_PROCESS,
    inherited: tuple[InheritedConnection, ...] = (),
) -> PoolNumbers:
    """Return a pool's numbers; `held` counts its (held, listed) checkouts, None if unknown."""
    sums = PointSums(points)
    pre_ping = sums.sum_of(catalogue.POOL_PRE_PING)
    return PoolNumbers(
        idle=whole(_connections(sums, ConnectionState.IDLE)),
        used=whole(_connections(sums, ConnectionState.USED)),
        max=sums.whole_sum_of(catalogue.MAX),
        pending=sums.whole_sum_of(catalogue.PENDING_REQUESTS),
        idle_max=sums.whole_sum_of(catalogue.IDLE_MAX),
        idle_min=sums.whole_sum_of(catalogue.IDLE_MIN),
        size=sums.whole_sum_of(catalogue.POOL_SIZE),
        max_overflow=sums.whole_sum_of(catalogue.POOL_MAX_OVERFLOW),
        overflow=sums.whole_sum_of(catalogue.POOL_OVERFLOW),
        timeout_s=sums.sum_of(catalogue.POOL_TIMEOUT),
        connect_timeout_s=sums.sum_of(catalogue.POOL_CONNECT_TIMEOUT),
        create_p95_s=sums.quantile_of(catalogue.CREATE_TIME, 0.95),
        recycle_s=sums.sum_of(catalogue.POOL_RECYCLE),
        idle_timeout_s=sums.sum_of(catalogue.POOL_IDLE_TIMEOUT),
        pre_ping=None if pre_ping is None else pre_ping > 0,
        ping_s=sums.mean_of(catalogue.PING_TIME, at_least=LEAST_PINGS),
        keepalive_s=sums.sum_of(catalogue.POOL_KEEPALIVE),
        pool_class=sums.text_of(catalogue.POOL_INFO, catalogue.POOL_CLASS),
        library=sums.text_of(catalogue.POOL_INFO, catalogue.LIBRARY),
        driver=_driver(sums),
        timeouts_total=sums.whole_sum_of(catalogue.TIMEOUTS),
        checkouts_total=sums.whole_sum_of(catalogue.CHECKOUTS),
        checkins_total=sums.whole_sum_of(catalogue.CHECKINS),
        leaks_total=sums.whole_sum_of(catalogue.LEAKS),
        leaks_recovered_total=sums.whole_sum_of(catalogue.LEAKS_RECOVERED),
        blocking_checkouts_total=sums.whole_sum_of(catalogue.BLOCKING_CHECKOUTS),
        shared=_shared(sums),
        held_total=held[0] if held else None,
        listed_total=held[1] if held else None,
        lost_places=sums.whole_sum_of(catalogue.LOST_PLACES),
        pending_by_phase={
            phase: round(count) for phase, count in _by_phase(sums, catalogue.PENDING).items()
        },
        oldest_wait_s=_by_phase(sums, catalogue.PENDING_AGE),
        growth=growth,
        waiters=waiters,
        statement_settings=_statement_settings(sums),
        generation=generation,
        made=made,
        held_by_waiters=sums.whole_sum_of(catalogue.HELD_BY_WAITERS),
        awaiting_thread=sums.whole_sum_of(catalogue.AWAITING_THREAD),
        process=process,
        inherited=inherited,
    )


def _shared(sums: PointSums) -> SharedUses | None:
    count = sums.whole_sum_of(catalogue.SHARED_CONNECTIONS)
    if count is None:
        return None
    most = sums.greatest_of(catalogue.SHARED_CONNECTIONS)
    return SharedUses(count, most.get(catalogue.CALL_SITE), most.get(catalogue.USED_AT))


def _driver(sums: PointSums) -> str | None:
    """Return the driver's package by the settings that its open connections report.

    None if no connection has been open, or if another driver is used.
    """
    metric = catalogue.POOL_PREPARED_STATEMENTS
    for setting, driver in _DRIVERS.items():
        if sums.sum_of(metric, catalogue.SETTING, setting) is not None:
            return driver
    return None


def _statement_settings(sums: PointSums) -> frozenset[StatementSetting] | None:
    metric = catalogue.POOL_PREPARED_STATEMENTS
    if sums.whole_sum_of(metric) is None:
        return None
    return frozenset(
        setting for setting in StatementSetting if sums.sum_of(metric, catalogue.SETTING, setting)
    )


def _by_phase(sums: PointSums, metric: Metric) -> dict[Phase, float]:
    """Return the values of a metric by phase, without the phases that have no waiters."""
    values = {phase: sums.sum_of(metric, catalogue.PHASE, phase) for phase in Phase}
    return {phase: value for phase, value in values.items() if value}


def _connections(sums: PointSums, state: ConnectionState) -> float | None:
    return sums.sum_of(catalogue.COUNT, catalogue.CONNECTION_STATE, state)
