"""Follow the route counters of one process: how far each push moves them."""

from poolscope import catalogue
from poolscope_exporter.core.admission import Refusal
from poolscope_exporter.core.checkouts import Point, Pool

ROUTE_METRICS = frozenset(
    metric.name for metric in (catalogue.ROUTE_CHECKOUTS, catalogue.ROUTE_HELD_TIME)
)

_Series = tuple[str, str]
"""Metric and route."""


class RouteCounts:
    """Where the route counters of one process stood at its last push, bounded per pool."""

    def __init__(self, max_pools: int, max_series_per_pool: int) -> None:
        self._max_pools = max_pools
        self._max_series = max_series_per_pool
        self._stands: dict[Pool, dict[_Series, float]] = {}

    def growth(self, pool: Pool, point: Point, *, is_from_zero: bool) -> float | Refusal:
        """Return by how much the point's counter grew, or why it is not kept.

        `is_from_zero`: a counter that was not told before grew from 0. Otherwise its value may
        hold what was counted long ago (by an exporter that ran before, say), and counts as 0.
        """
        assert isinstance(point.value, float | int)
        if point.is_delta:
            return point.value
        stands = self._stands.get(pool)
        if stands is None:
            if len(self._stands) >= self._max_pools:
                return Refusal.TOO_MANY_POOLS
            stands = self._stands[pool] = {}
        series = point.metric, point.attributes.get(catalogue.HTTP_ROUTE, "")
        if series not in stands and len(stands) >= self._max_series:
            return Refusal.TOO_MANY_SERIES
        last = stands.get(series, 0.0 if is_from_zero else point.value)
        stands[series] = point.value
        # A counter that fell was reset, and grew to what it is now.
        return point.value - last if point.value >= last else point.value
