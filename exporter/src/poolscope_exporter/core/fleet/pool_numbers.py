"""Read the numbers of one pool from its series: what judging and showing it need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite

from poolscope import catalogue
from poolscope.catalogue import ConnectionState, Metric, Phase
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters
from poolscope_exporter.core.model.pushes import HistogramValue, Point


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
    growth: Growth = field(default_factory=Growth)
    waiters: PoolWaiters | None = None


class _Reader:
    """Sums of the values of a pool's points, by metric."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._points: dict[str, list[Point]] = {}
        for point in points:
            self._points.setdefault(point.metric, []).append(point)

    def number(self, metric: Metric, attribute: str = "", value: str = "") -> float | None:
        values = [
            point.value
            for point in self._points.get(metric.name, ())
            if isinstance(point.value, float | int) and point.attributes.get(attribute, "") == value
        ]
        return _finite(sum(values)) if values else None

    def mean(self, metric: Metric) -> float | None:
        points = self._points.get(metric.name, ())
        found = [point.value for point in points if isinstance(point.value, HistogramValue)]
        count = sum(sum(buckets.counts) for buckets in found)
        return _finite(sum(buckets.sum for buckets in found) / count) if count else None

    def total(self, metric: Metric) -> int | None:
        points = self._points.get(metric.name, ())
        values = [point.value for point in points if isinstance(point.value, float | int)]
        return _whole(_finite(sum(values))) if values else None

    def text(self, metric: Metric, attribute: str) -> str | None:
        points = self._points.get(metric.name, ())
        return next((point.attributes.get(attribute) or None for point in points), None)


def numbers_of(
    points: Iterable[Point],
    held: tuple[int, int] | None,
    growth: Growth,
    waiters: PoolWaiters | None = None,
) -> PoolNumbers:
    """Read a pool's numbers; `held` is how many checkouts are (held, listed), None if not told."""
    read = _Reader(points)
    pre_ping = read.number(catalogue.POOL_PRE_PING)
    return PoolNumbers(
        idle=_whole(_connections(read, ConnectionState.IDLE)),
        used=_whole(_connections(read, ConnectionState.USED)),
        max=read.total(catalogue.MAX),
        pending=read.total(catalogue.PENDING_REQUESTS),
        idle_max=read.total(catalogue.IDLE_MAX),
        idle_min=read.total(catalogue.IDLE_MIN),
        size=read.total(catalogue.POOL_SIZE),
        max_overflow=read.total(catalogue.POOL_MAX_OVERFLOW),
        overflow=read.total(catalogue.POOL_OVERFLOW),
        timeout_s=read.number(catalogue.POOL_TIMEOUT),
        recycle_s=read.number(catalogue.POOL_RECYCLE),
        pre_ping=None if pre_ping is None else pre_ping > 0,
        ping_s=read.mean(catalogue.PING_TIME),
        keepalive_s=read.number(catalogue.POOL_KEEPALIVE),
        pool_class=read.text(catalogue.POOL_INFO, catalogue.POOL_CLASS),
        library=read.text(catalogue.POOL_INFO, catalogue.LIBRARY),
        timeouts_total=read.total(catalogue.TIMEOUTS),
        checkouts_total=read.total(catalogue.CHECKOUTS),
        checkins_total=read.total(catalogue.CHECKINS),
        leaks_total=read.total(catalogue.LEAKS),
        leaks_recovered_total=read.total(catalogue.LEAKS_RECOVERED),
        blocking_checkouts_total=read.total(catalogue.BLOCKING_CHECKOUTS),
        held_total=held[0] if held else None,
        listed_total=held[1] if held else None,
        lost_places=read.total(catalogue.LOST_PLACES),
        pending_by_phase=_by_phase(read, catalogue.PENDING),
        oldest_wait_s=_oldest_by_phase(read),
        growth=growth,
        waiters=waiters,
    )


def _finite(value: float) -> float | None:
    # The sum of numbers that are each finite need not be one.
    return float(value) if isfinite(value) else None


def _by_phase(read: _Reader, metric: Metric) -> dict[Phase, int]:
    counts = {phase: _whole(read.number(metric, catalogue.PHASE, phase)) for phase in Phase}
    return {phase: count for phase, count in counts.items() if count}


def _oldest_by_phase(read: _Reader) -> dict[Phase, float]:
    ages = {phase: read.number(catalogue.PENDING_AGE, catalogue.PHASE, phase) for phase in Phase}
    return {phase: age_s for phase, age_s in ages.items() if age_s}


def _connections(read: _Reader, state: ConnectionState) -> float | None:
    return read.number(catalogue.COUNT, catalogue.CONNECTION_STATE, state)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
