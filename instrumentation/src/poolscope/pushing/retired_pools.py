"""Keep the counters of rows that are gone and gave their place, or their name, to new ones.

An app with a pool for each tenant drops as many rows. Without this, the counters of a name would
fall when another pool gets it, and the sums over the pools would fall with them.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from poolscope.catalogue import Kind
from poolscope.clock import monotonic
from poolscope.pushing.samples import Sample, counter_samples
from poolscope.recording.histogram import Buckets
from poolscope.recording.pool import drained
from poolscope.recording.pool_rows.row import WatchedPool

MAX_SERIES: Final = 2_000
"""Series that are kept of pools that are gone; the series of later pools are lost beyond it."""

_Key = tuple[str, frozenset[tuple[str, object]]]


class RetiredPools:
    """The sums of the counters of retired pools, by series."""

    def __init__(self) -> None:
        self._sums: dict[_Key, Sample] = {}
        self._lock = threading.Lock()  # the pusher's and the provider's threads; never a hook

    def retire(self, retired: list[WatchedPool], listed: Sequence[WatchedPool]) -> None:
        """Add the counters of pools in `retired`, and empty it.

        Pools that the caller has just `listed` stay: their own counters are in this push.
        """
        with self._lock:
            for _ in range(len(retired)):  # a hook may append meanwhile
                pool = retired.pop(0)
                if any(pool is each for each in listed):
                    retired.append(pool)
                elif pool.identity is not None:
                    collected = drained(pool.stats.collected.popleft)
                    pool.leaks.scan(pool.stats.open_checkouts(), collected, monotonic())
                    for sample in counter_samples(pool.identity, pool.stats, pool.leaks):
                        self._add(sample)

    def completed(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples. A counter includes the counts of retired pools with its name.

        The series of names that no pool has now follow: a counter does not disappear.
        """
        rest = dict(self._sums)
        for sample in samples:
            before = rest.pop(_key(sample), None) if rest else None
            yield sample if before is None else _sum(before, sample)
        yield from rest.values()

    def added(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the same without these series: a push under pressure leaves series out."""
        for sample in samples:
            before = self._sums.get(_key(sample)) if self._sums else None
            yield sample if before is None else _sum(before, sample)

    def _add(self, sample: Sample) -> None:
        key = _key(sample)
        before = self._sums.get(key)
        if before is not None:
            self._sums[key] = _sum(before, sample)
        elif _is_counted(sample) and len(self._sums) < MAX_SERIES:
            self._sums[key] = sample


def _key(sample: Sample) -> _Key:
    return sample.metric.name, frozenset(sample.attributes.items())


def _is_counted(sample: Sample) -> bool:
    value = sample.value
    return bool(sum(value.counts) if isinstance(value, Buckets) else value)


def _sum(before: Sample, sample: Sample) -> Sample:
    if sample.metric.kind not in (Kind.COUNTER, Kind.HISTOGRAM):
        return sample
    one, other = before.value, sample.value
    if isinstance(one, Buckets) and isinstance(other, Buckets):
        counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
        both = Buckets(one.bounds, counts, one.sum + other.sum)
        return Sample(sample.metric, sample.attributes, both)
    assert not isinstance(one, Buckets)
    assert not isinstance(other, Buckets)
    return Sample(sample.metric, sample.attributes, one + other)
