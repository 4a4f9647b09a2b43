"""Exemplars: single values of a histogram, each with the trace in which it was measured."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_EXEMPLARS: Final = 16
"""Most exemplars of one series; the newest are kept. The histograms of the catalogue need 14."""


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
    newest = sorted(exemplars, key=lambda each: each.time_ns)
    found = {bisect_left(bounds, each.value): each for each in newest}
    kept = sorted(found.values(), key=lambda each: each.time_ns)[-MAX_EXEMPLARS:]
    return tuple(sorted(kept))
