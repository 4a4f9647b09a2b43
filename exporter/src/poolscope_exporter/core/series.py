"""Keep the series of one process: cumulative, bounded per pool, and forgotten when they stop."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from poolscope_exporter.core.admission import Refusal, describes_pool, is_gauge, pool_of
from poolscope_exporter.core.checkouts import Buckets, Instance, Point, Pool

_Key = tuple[object, ...]


@dataclass(slots=True)
class _Entry:
    point: Point
    pool: Pool | None
    seen_s: float


class SeriesBook:
    """The series of one process, as last pushed; deltas are added up."""

    def __init__(self, instance: Instance, max_pools: int, max_series_per_pool: int) -> None:
        self._instance = instance
        self._max_pools = max_pools
        self._max_series = max_series_per_pool
        self._entries: dict[_Key, _Entry] = {}
        self._sizes: Counter[Pool | None] = Counter()

    def put(self, point: Point, now_s: float) -> Refusal | None:
        """Keep an admitted point; return why not where a bound is reached."""
        key: _Key = (point.metric, point.kind, point.unit, *point.attributes.items())
        entry = self._entries.get(key)
        if entry is None:
            return self._add(key, point, now_s)
        entry.point = _continued(entry.point, point)
        entry.seen_s = now_s
        return None

    def points(self, gauges_since_s: float, counters_since_s: float) -> Iterator[Point]:
        """Yield the series that were last seen then or later; histograms count as counters."""
        for entry in self._entries.values():
            if entry.seen_s >= (gauges_since_s if is_gauge(entry.point) else counters_since_s):
                yield entry.point

    def pools(self, since_s: float) -> dict[Pool, list[Point]]:
        """Return the pools that were heard of then or later, with what was said of them."""
        found: dict[Pool, list[Point]] = {}
        for entry in self._entries.values():
            if entry.pool and entry.seen_s >= since_s:
                found.setdefault(entry.pool, []).append(entry.point)
        return found

    def drop(self, gauges_before_s: float, counters_before_s: float) -> None:
        """Forget the series that were last seen before then."""
        for key, entry in list(self._entries.items()):
            if entry.seen_s < (gauges_before_s if is_gauge(entry.point) else counters_before_s):
                del self._entries[key]
                self._shrink(entry.pool)

    def _add(self, key: _Key, point: Point, now_s: float) -> Refusal | None:
        pool = pool_of(self._instance, point.attributes) if describes_pool(point) else None
        if pool and pool not in self._sizes and len(self._sizes.keys() - {None}) >= self._max_pools:
            return Refusal.TOO_MANY_POOLS
        if self._sizes[pool] >= self._max_series:
            return Refusal.TOO_MANY_SERIES
        self._sizes[pool] += 1
        self._entries[key] = _Entry(_begun(point), pool, now_s)
        return None

    def _shrink(self, pool: Pool | None) -> None:
        self._sizes[pool] -= 1
        if not self._sizes[pool]:
            del self._sizes[pool]


def _begun(point: Point) -> Point:
    return replace(point, is_delta=False) if point.is_delta else point


def _continued(old: Point, new: Point) -> Point:
    return replace(old, value=_sum(old.value, new.value)) if new.is_delta else new


def _sum(old: float | Buckets, new: float | Buckets) -> float | Buckets:
    if isinstance(old, Buckets) or isinstance(new, Buckets):
        return _merged(old, new)
    return old + new


def _merged(old: float | Buckets, new: float | Buckets) -> float | Buckets:
    if not isinstance(old, Buckets) or not isinstance(new, Buckets) or old.bounds != new.bounds:
        return new
    counts = tuple(a + b for a, b in zip(old.counts, new.counts, strict=True))
    return Buckets(old.bounds, counts, old.sum + new.sum)
