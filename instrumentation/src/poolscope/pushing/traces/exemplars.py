"""Keep the latest exemplar of each bucket: a slow value and the span in which it was measured."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from poolscope.catalogue import Metric
from poolscope.pushing.samples import Sample
from poolscope.recording.histogram import Buckets, TracedValue

MAX_SERIES: Final = 500
"""Series of which exemplars are kept; the pools of one process have at most three each."""

_Key = tuple[str, frozenset[tuple[str, object]]]


class Exemplars:
    """The exemplars of one process, by series and bucket."""

    def __init__(self) -> None:
        self._latest: dict[_Key, dict[int, TracedValue]] = {}

    def keep_exemplar(self, metric: Metric, pool: Mapping[str, object], found: TracedValue) -> None:
        """Keep the exemplar of a pool's series; it replaces the one of the same bucket."""
        key = metric.name, frozenset(pool.items())
        if key in self._latest or len(self._latest) < MAX_SERIES:
            bucket = bisect_left(metric.bounds, found.value)
            self._latest.setdefault(key, {})[bucket] = found

    def with_exemplars(self, sample: Sample) -> Sample:
        """Return the sample with the exemplars of its series; other threads may call this."""
        if not self._latest or not isinstance(sample.value, Buckets):
            return sample
        key = sample.metric.name, frozenset(sample.attributes.items())
        latest = dict(self._latest.get(key, {}))
        exemplars = tuple(latest[bucket] for bucket in sorted(latest))
        return replace(sample, value=replace(sample.value, exemplars=exemplars))
