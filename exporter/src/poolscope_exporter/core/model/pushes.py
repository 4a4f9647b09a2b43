"""A push: the points that one process sent at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from poolscope.catalogue import Kind, OwnerKind, Phase, Publisher
from poolscope_exporter.core.model.checkouts import HeldCheckouts, Instance, Pool


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """The value of a histogram point: counts per bucket (not cumulative), the last is +Inf."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


def add_values(
    earlier: float | HistogramValue, later: float | HistogramValue
) -> float | HistogramValue:
    """Return the sum of two values of one series; of histograms, bucket by bucket.

    What cannot be added, such as histograms with unequal bounds, is not mixed: the later value
    stands alone. Prometheus reads that as a counter that began anew, and a series whose sender
    changed its bounds goes on.
    """
    if isinstance(earlier, HistogramValue) and isinstance(later, HistogramValue):
        return _add_buckets(earlier, later) if earlier.bounds == later.bounds else later
    if isinstance(earlier, HistogramValue) or isinstance(later, HistogramValue):
        return later
    return earlier + later


def _add_buckets(one: HistogramValue, other: HistogramValue) -> HistogramValue:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    return HistogramValue(one.bounds, counts, one.sum + other.sum)


class Attributes(dict[str, str]):
    """Attributes that many points share. They never change, so that they can be a key."""

    __slots__ = ("_hash",)

    def __init__(self, attributes: Mapping[str, str]) -> None:
        super().__init__(attributes)
        self._hash = hash(frozenset(self.items()))

    def __hash__(self) -> int:  # type: ignore[override]  # a dict would not promise not to change
        return self._hash


class Point(NamedTuple):
    """One data point of a series; attributes are wire names, without the resource's.

    No dataclass: a large fleet makes thirty thousand a second, each in a third of the time.

    `start_ns` and `time_ns` are the sender's clock, 0 where it does not tell; `time_ns` also where
    the sender numbers its pushes, which tells their order better.
    """

    metric: str
    kind: Kind
    unit: str
    attributes: Mapping[str, str]
    value: float | HistogramValue
    is_delta: bool = False
    start_ns: int = 0
    time_ns: int = 0


@dataclass(frozen=True, slots=True)
class WaitingCaller:
    """One caller that waits for a connection, as of a push; None is unknown."""

    phase: Phase
    age_s: float
    route: str | None = None
    code_file: str | None = None
    code_line: int | None = None
    code_function: str | None = None
    owner_kind: OwnerKind | None = None


@dataclass(frozen=True, slots=True)
class WaitingCallers:
    """The waiting callers of one pool; complete when as many are listed as wait."""

    pool: Pool
    waiting: int
    listed: tuple[WaitingCaller, ...]


@dataclass(frozen=True, slots=True)
class Push:
    """One OTLP request's worth of one process.

    `sequence` is None for senders that are not poolscope (any SDK that emits the conventions);
    such a push lists no checkouts and no waiters, has no end marker, and an unknown interval.
    """

    instance: Instance
    resource: Mapping[str, str]
    points: tuple[Point, ...]
    sequence: int | None = None
    interval_s: float | None = None
    is_end: bool = False
    is_pressed: bool = False
    publisher: Publisher = Publisher.EXPORTER
    held: tuple[HeldCheckouts, ...] = ()
    waiters: tuple[WaitingCallers, ...] = ()
    backend_pids: Mapping[Pool, frozenset[int]] = field(default_factory=dict)
