"""Count durations in fixed buckets, without a lock, from any hook."""

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass

BUFFER_LIMIT = 10_000
"""Most samples that are kept for an OpenTelemetry provider between two of its collections."""


@dataclass(frozen=True, slots=True)
class TracedValue:
    """One counted value, with the ids of the span in which it was measured: an exemplar."""

    value: float
    time_ns: int
    """Nanoseconds since the epoch."""
    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """A copy of a histogram: counts per bucket, the last one for values over the last bound."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    exemplars: tuple[TracedValue, ...] = ()


class Histogram:
    """Counts of durations (seconds) per bucket; a value equal to a bound is in its bucket.

    Hooks count without a lock. CPython (3.11 and later, with the GIL) switches no thread between
    the bytecodes of `count_value` that matter; this was measured. Bounds never change.
    """

    __slots__ = ("bounds", "buffer", "counts", "dropped", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.buffer: deque[float] | None = None
        self.dropped = 0

    def count_value(self, value: float) -> None:
        """Count one duration, in seconds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
        if self.buffer is not None:
            self.keep(value)

    def add_all(self, values: list[float]) -> None:
        """Count durations, in seconds, from a list that nobody else uses: it is sorted in place."""
        if not values:
            return
        if self.buffer is not None:
            for value in values:
                self.keep(value)
        total, below = sum(values), 0
        values.sort()
        for bucket, bound in enumerate(self.bounds):
            up_to = bisect_right(values, bound, below)
            self.counts[bucket] += up_to - below
            below = up_to
        self.counts[-1] += len(values) - below
        self.sum += total

    def keep(self, value: float) -> None:
        """Keep one sample for the provider, or count it as dropped."""
        buffer = self.buffer
        if buffer is not None and len(buffer) < BUFFER_LIMIT:
            buffer.append(value)
        else:
            self.dropped += 1

    def read_counts(self) -> Buckets:
        """Return a copy of the counts; a value of another thread may be counted only in part."""
        return Buckets(self.bounds, tuple(self.counts), self.sum)

    def clear(self) -> None:
        """Start again from zero, as a forked child must."""
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0
        self.dropped = 0
        if self.buffer is not None:
            self.buffer.clear()
