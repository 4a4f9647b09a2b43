"""Exemplars: single values of a histogram, each with the trace in which it was measured."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_EXEMPLARS: Final = 8
"""Most exemplars of one series; those of the slowest buckets are kept."""


class Exemplar(NamedTuple):
    """One value of a series; a tuple of numbers and bytes, because a fleet has thousands."""

    value: float
    time_ns: int
    """Nanoseconds since the epoch, by the sender's clock."""
    trace_id: bytes
    """16 bytes."""
    span_id: bytes
    """8 bytes."""


def latest_by_bucket(
    bounds: tuple[float, ...], exemplars: Iterable[Exemplar]
) -> tuple[Exemplar, ...]:
    """Return the newest exemplar of each bucket, by bucket; of equally old ones the last."""
    in_order = sorted(exemplars, key=lambda each: each.time_ns)
    newest = {bisect_left(bounds, each.value): each for each in in_order}
    return tuple(newest[bucket] for bucket in sorted(newest)[-MAX_EXEMPLARS:])
