"""Read the numbers of one pool from its series: what judging and showing it need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from poolscope import catalogue
from poolscope.catalogue import ConnectionState, Metric, Phase
from poolscope_exporter.core.fleet.growth import UNKNOWN_GROWTH, Growth
from poolscope_exporter.core.fleet.point_sums import PointSums, whole
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters
from poolscope_exporter.core.model.pushes import Point


@dataclass(frozen=True, slots=True)
class PoolNumbers:
    """What an application says of one pool; None is unknown, or has no meaning for its class.

    `held_total` counts the checkouts that are old or have evidence, `listed_total` those of them
    that the application described. Names in `_s` are seconds, `_total` counts since the start.
    `ping_s` is what a liveness check took on average since the start. `pending_by_phase` counts the
    callers that wait, `oldest_wait_s` has the age of the oldest one; a phase nobody waits in is
    absent. `lost_places` are connections that count as used although nobody can return them.
    `waiters` are the callers that have waited longest, by where they ask.
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
    recycle_s: float | None = None
    pre_ping: bool | None = None
    ping_s: float | None = None
    keepalive_s: float | None = None
    pool_class: str | None = None
    library: str | None = None
    timeouts_total: int | None = None
    checkouts_total: int | None = None
    checkins_total: int | None = None
    leaks_total: int | None = None
    leaks_recovered_total: int | None = None
    blocking_checkouts_total: int | None = None
    held_total: int | None = None
    listed_total: int | None = None
    lost_places: int | None = None
    pending_by_phase: Mapping[Phase, int] = field(default_factory=dict)
    oldest_wait_s: Mapping[Phase, float] = field(default_factory=dict)
    growth: Growth = UNKNOWN_GROWTH
    waiters: PoolWaiters | None = None


def numbers_of(
    points: Iterable[Point],
    held: tuple[int, int] | None,
    growth: Growth,
    waiters: PoolWaiters | None = None,
) -> PoolNumbers:
    """Read a pool's numbers; `held` is how many checkouts are (held, listed), None if not told."""
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
        recycle_s=sums.sum_of(catalogue.POOL_RECYCLE),
        pre_ping=None if pre_ping is None else pre_ping > 0,
        ping_s=sums.mean_of(catalogue.PING_TIME),
        keepalive_s=sums.sum_of(catalogue.POOL_KEEPALIVE),
        pool_class=sums.text_of(catalogue.POOL_INFO, catalogue.POOL_CLASS),
        library=sums.text_of(catalogue.POOL_INFO, catalogue.LIBRARY),
        timeouts_total=sums.whole_sum_of(catalogue.TIMEOUTS),
        checkouts_total=sums.whole_sum_of(catalogue.CHECKOUTS),
        checkins_total=sums.whole_sum_of(catalogue.CHECKINS),
        leaks_total=sums.whole_sum_of(catalogue.LEAKS),
        leaks_recovered_total=sums.whole_sum_of(catalogue.LEAKS_RECOVERED),
        blocking_checkouts_total=sums.whole_sum_of(catalogue.BLOCKING_CHECKOUTS),
        held_total=held[0] if held else None,
        listed_total=held[1] if held else None,
        lost_places=sums.whole_sum_of(catalogue.LOST_PLACES),
        pending_by_phase={
            phase: round(count) for phase, count in _by_phase(sums, catalogue.PENDING).items()
        },
        oldest_wait_s=_by_phase(sums, catalogue.PENDING_AGE),
        growth=growth,
        waiters=waiters,
    )


def _by_phase(sums: PointSums, metric: Metric) -> dict[Phase, float]:
    """Return the values of a metric by phase; a phase that nobody waits in is left out."""
    values = {phase: sums.sum_of(metric, catalogue.PHASE, phase) for phase in Phase}
    return {phase: value for phase, value in values.items() if value}


def _connections(sums: PointSums, state: ConnectionState) -> float | None:
    return sums.sum_of(catalogue.COUNT, catalogue.CONNECTION_STATE, state)
