"""Keep the series of one process: cumulative, limited per pool, and dropped after they stop."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import isfinite

from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.family_kinds import FamilyKinds
from poolscope_exporter.core.admission.limits import Share, size_of
from poolscope_exporter.core.admission.points import Refusal, describes_pool, is_gauge
from poolscope_exporter.core.model.checkouts import Instance, Pool, pool_of
from poolscope_exporter.core.model.pushes import (
    HistogramValue,
    Point,
    add_values,
    continued_value,
)

LATEST_NS = 300 * 10**9
"""A push is retried for at most this long; an older time means that a clock was set back."""

_Key = tuple[object, ...]


def _any_pool(_: Pool) -> bool:
    return True


@dataclass(slots=True)
class _Entry:
    point: Point
    pool: Pool | None
    seen_s: float
    is_gauge: bool


class ProcessSeries:
    """The series of one process, as last pushed; deltas are added up."""

    def __init__(
        self,
        instance: Instance,
        max_pools: int,
        max_series_per_pool: int,
        share: Share,
        kinds: FamilyKinds,
    ) -> None:
        self._instance = instance
        self._kinds = kinds
        self._share = share
        self._max_pools = max_pools
        self._max_series = max_series_per_pool
        self._entries: dict[_Key, _Entry] = {}
        self._by_pool: dict[Pool | None, dict[_Key, _Entry]] = {}
        self._least_seen_s = {True: float("inf"), False: float("inf")}

    def keep_point(self, point: Point, now_s: float) -> Refusal | None:
        """Keep an admitted point, or return why it is refused."""
        key: _Key = (point.metric, point.kind.value, point.unit, point.attributes)
        entry = self._entries.get(key)
        if entry is None:
            return self._add(key, point, now_s)
        if refusal := refusal_of(entry.point, point):
            return refusal
        continued = _continued(entry.point, point)
        if continued is None:
            return Refusal.BAD_VALUE
        entry.point = continued
        entry.seen_s = now_s
        return None

    def points_since(self, gauges_since_s: float, counters_since_s: float) -> Iterator[Point]:
        """Yield the series last seen at the given times or later; histograms count as counters."""
        for entry in self._entries.values():
            if entry.seen_s >= (gauges_since_s if entry.is_gauge else counters_since_s):
                yield entry.point

    def numbers_since(
        self, since_s: float, is_wanted: Callable[[Pool], bool] = _any_pool
    ) -> dict[Pool, list[Point]]:
        """Return the points of each accepted pool that were last seen at `since_s` or later."""
        found = {
            pool: [entry.point for entry in entries.values() if entry.seen_s >= since_s]
            for pool, entries in self._by_pool.items()
            if pool and is_wanted(pool)
        }
        return {pool: points for pool, points in found.items() if points}

    def points_of_pools(
        self, is_wanted: Callable[[Pool], bool], metrics: Collection[str], since_s: float
    ) -> Iterator[Point]:
        """Yield the points of these metrics and pools that were last seen at `since_s` or later."""
        for pool, entries in self._by_pool.items():
            if pool and is_wanted(pool):
                for entry in entries.values():
                    if entry.point.metric in metrics and entry.seen_s >= since_s:
                        yield entry.point

    def process_points_since(self, since_s: float) -> list[Point]:
        """Return the points without a pool that were last seen at `since_s` or later."""
        of_process = self._by_pool.get(None, {}).values()
        return [entry.point for entry in of_process if entry.seen_s >= since_s]

    def drop_series(self, gauges_before_s: float, counters_before_s: float) -> None:
        """Drop the series that were last seen before the given times."""
        before_s = {True: gauges_before_s, False: counters_before_s}
        if all(before_s[kind] <= self._least_seen_s[kind] for kind in before_s):
            return
        for key, entry in list(self._entries.items()):
            if entry.seen_s < before_s[entry.is_gauge]:
                del self._entries[key]
                self._shrink(key, entry.pool)
                self._release(entry.point)
        for kind in before_s:
            seen = (entry.seen_s for entry in self._entries.values() if entry.is_gauge is kind)
            # A series that is seen again only gets a later time, so this stays a lower bound.
            self._least_seen_s[kind] = min(seen, default=float("inf"))

    def release_series(self) -> None:
        """Release all room of the series; they are not used after this call."""
        for entry in self._entries.values():
            self._release(entry.point)

    def _add(self, key: _Key, point: Point, now_s: float) -> Refusal | None:
        pool = pool_of(self._instance, point.attributes) if describes_pool(point) else None
        if self._kinds.conflict_with(point):
            return Refusal.CONFLICTING_KIND
        if pool and pool not in self._by_pool and self._pools >= self._max_pools:
            return Refusal.TOO_MANY_POOLS
        entries = self._by_pool.setdefault(pool, {})
        if len(entries) >= self._max_series or not self._share.claim(_size(point)):
            if not entries:
                del self._by_pool[pool]
            return Refusal.TOO_MANY_SERIES
        self._kinds.claim_family(point)
        entry = _Entry(_begun(point), pool, now_s, is_gauge(point))
        self._entries[key] = entries[key] = entry
        self._least_seen_s[entry.is_gauge] = min(now_s, self._least_seen_s[entry.is_gauge])
        return None

    def _release(self, point: Point) -> None:
        self._kinds.release_family(point)
        self._share.release(_size(point))

    @property
    def _pools(self) -> int:
        return len(self._by_pool) - (None in self._by_pool)

    def _shrink(self, key: _Key, pool: Pool | None) -> None:
        del self._by_pool[pool][key]
        if not self._by_pool[pool]:
            del self._by_pool[pool]


def _size(point: Point) -> int:
    return size_of(point.metric, point.attributes)


def _begun(point: Point) -> Point:
    return point._replace(is_delta=False) if point.is_delta else point


def _continued(old: Point, new: Point) -> Point | None:
    """Return the series continued by the point, or None if the sum is not finite."""
    if not new.is_delta:
        value = continued_value(old.value, new.value)
        return new if value is new.value else new._replace(value=value)
    value = add_values(old.value, new.value)
    if not isfinite(value.sum if isinstance(value, HistogramValue) else value):
        return None
    return old._replace(value=value, time_ns=new.time_ns)


def refusal_of(last: Point, point: Point) -> Refusal | None:
    """Return why a point does not continue the series after `last`, or None if it does."""
    if not point.time_ns or not last.time_ns:
        return None
    if point.time_ns == last.time_ns:
        return Refusal.DUPLICATE
    if point.time_ns < last.time_ns:
        is_late = last.time_ns - point.time_ns <= LATEST_NS
        return Refusal.OUT_OF_ORDER if is_late else None
    return Refusal.SHARED_INSTANCE if _is_of_another(last, point) else None


def _is_of_another(last: Point, point: Point) -> bool:
    """Return whether two processes push the series under one name.

    In the pushes of a single process, the start time of a series never goes back, and the intervals
    of its deltas never overlap.
    """
    if not point.start_ns or point.kind is Kind.GAUGE:
        return False
    return point.start_ns < (last.time_ns if point.is_delta else last.start_ns)
