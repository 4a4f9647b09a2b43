"""Follow the route counters of one process, and their growth with each push."""

from collections.abc import Mapping
from dataclasses import dataclass

from poolscope import catalogue
from poolscope_exporter.core.admission.limits import Share, size_of
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from poolscope_exporter.core.model.checkouts import Instance, pool_of
from poolscope_exporter.core.model.pushes import Point

ROUTE_METRICS = frozenset(
    metric.name for metric in (catalogue.ROUTE_CHECKOUTS, catalogue.ROUTE_HELD_TIME)
)

_Key = tuple[str, Mapping[str, str]]


@dataclass(slots=True)
class RouteCounter:
    """One route counter of a process: its pool and route, its value, and its last growth."""

    pool: ServicePool
    route: str
    metric: str
    value: float
    growth: float


class RouteCounters:
    """The route counters of one process at its last push, with a limit per pool."""

    def __init__(
        self, instance: Instance, max_pools: int, max_series_per_pool: int, share: Share
    ) -> None:
        self._share = share
        self._instance = instance
        self._max_pools = max_pools
        self._max_series = max_series_per_pool
        self._counts: dict[_Key, RouteCounter] = {}
        self._sizes: dict[ServicePool, int] = {}

    def record_point(self, point: Point, *, is_from_zero: bool) -> RouteCounter | Refusal:
        """Return the point's counter with its growth since the last push, or why it is refused.

        With `is_from_zero`, a new counter grew from 0. Without it, the growth of a new counter is
        0. Its value may already be counted, for example by an earlier run of the exporter.
        """
        value = point.value
        assert isinstance(value, float | int)
        count = self._counts.get((point.metric, point.attributes))
        if count is None:
            begins_at = 0.0 if is_from_zero or point.is_delta else value
            return self._add(point, value, value - begins_at)
        if point.is_delta:
            count.growth = value
            return count
        # A counter that fell was reset, and grew from 0 to its value now.
        count.growth = value - count.value if value >= count.value else value
        count.value = value
        return count

    def release_routes(self) -> None:
        """Release all room of the counters; they are not used after this call."""
        for metric, attributes in self._counts:
            self._share.release(size_of(metric, attributes))

    def _add(self, point: Point, value: float, growth: float) -> RouteCounter | Refusal:
        pool = service_pool_of(pool_of(self._instance, point.attributes))
        if pool not in self._sizes and len(self._sizes) >= self._max_pools:
            return Refusal.TOO_MANY_POOLS
        if self._sizes.get(pool, 0) >= self._max_series or not self._share.claim(
            size_of(point.metric, point.attributes)
        ):
            return Refusal.TOO_MANY_SERIES
        route = point.attributes.get(catalogue.HTTP_ROUTE, "")
        count = RouteCounter(pool, route, point.metric, value, growth)
        self._counts[point.metric, point.attributes] = count
        self._sizes[pool] = self._sizes.get(pool, 0) + 1
        return count
