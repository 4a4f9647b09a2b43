"""A push: the points that one process sent in one request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from poolscope.catalogue import Kind, OwnerKind, Phase, Publisher
from poolscope_exporter.core.model.checkouts import (
    HeldCheckouts,
    InheritedConnection,
    Instance,
    Pool,
)
from poolscope_exporter.core.model.exemplars import Exemplar, latest_by_bucket
from poolscope_exporter.core.model.now_places import NowPlace


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """The value of a histogram point: counts per bucket (not cumulative), the last is +Inf."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    exemplars: tuple[Exemplar, ...] = ()


def add_values(
    earlier: float | HistogramValue, later: float | HistogramValue
) -> float | HistogramValue:
    """Return the sum of two values of one series; for histograms, bucket by bucket.

    Values that cannot be added, such as histograms with unequal bounds, are not mixed: the later
    value replaces the earlier one. Prometheus reads that as a counter reset. So a series continues
    after its sender changed the bounds.
    """
    if isinstance(earlier, HistogramValue) and isinstance(later, HistogramValue):
        return _add_buckets(earlier, later) if earlier.bounds == later.bounds else later
    if isinstance(earlier, HistogramValue) or isinstance(later, HistogramValue):
        return later
    return earlier + later


def _add_buckets(one: HistogramValue, other: HistogramValue) -> HistogramValue:
    counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
    total = one.sum + other.sum
    return HistogramValue(one.bounds, counts, total, _exemplars_of_both(one, other))


def continued_value(
    earlier: float | HistogramValue, later: float | HistogramValue
) -> float | HistogramValue:
    """Return the later cumulative value of a series, with the exemplars that are still the newest.

    An SDK sends an exemplar once, in the push after its measurement.
    """
    if not isinstance(later, HistogramValue) or not isinstance(earlier, HistogramValue):
        return later
    if earlier.exemplars in ((), later.exemplars) or earlier.bounds != later.bounds:
        return later
    return replace(later, exemplars=_exemplars_of_both(earlier, later))


def _exemplars_of_both(one: HistogramValue, other: HistogramValue) -> tuple[Exemplar, ...]:
    if not one.exemplars or not other.exemplars:
        return one.exemplars or other.exemplars
    return latest_by_bucket(one.bounds, (*one.exemplars, *other.exemplars))


class Attributes(dict[str, str]):
    """Attributes that many points share; they never change, so that they can be a key."""

    __slots__ = ("_hash",)

    def __init__(self, attributes: Mapping[str, str]) -> None:
        super().__init__(attributes)
        self._hash = hash(frozenset(self.items()))

    def __hash__(self) -> int:  # type: ignore[override]  # a dict would not promise not to change
        return self._hash


class Point(NamedTuple):
    """One data point of a series; attributes are wire names, without the resource's.

    No dataclass: a large fleet makes thirty thousand points a second, and a tuple takes a third of
    the time.

    The times `start_ns` and `time_ns` are by the sender's clock, or 0 if not sent. If the sender
    numbers its pushes, `time_ns` is 0, because the number gives their order more reliably.
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
    now: NowPlace | None = None


@dataclass(frozen=True, slots=True)
class WaitingCallers:
    """The waiting callers of one pool; complete if as many are listed as wait."""

    pool: Pool
    waiting: int
    listed: tuple[WaitingCaller, ...]


@dataclass(frozen=True, slots=True)
class PoolsMade:
    """The number of pools of one name that a line of the application's code made, `file:line`."""

    call_site: str
    count: int


@dataclass(frozen=True, slots=True)
class PoolGeneration:
    """The number of pools that had a name one after another, and the last of them.

    The line that made it is `call_site`, `file:line`, None if unknown. If it `is_gone`, only its
    counters remain.
    """

    number: int
    is_gone: bool = False
    call_site: str | None = None


@dataclass(frozen=True, slots=True)
class LoopStall:
    """A time in which an event loop of the process did not run; None is unknown.

    This is the longest of the stalls that ended between two pushes; `blocked_s` is the length of
    all of them. For a stall that is not over, `blocked_s` is 0.
    """

    lasted_s: float
    is_over: bool
    blocked_s: float = 0.0
    thread_name: str | None = None
    code_file: str | None = None
    code_line: int | None = None
    code_function: str | None = None


class Occupied(NamedTuple):
    """One way in which connections of a pool were out; lines are `file:line`, empty if unknown."""

    pool: Pool
    route: str
    taken_at: str
    now_at: str
    call: str
    doing: str


@dataclass(frozen=True, slots=True)
class TimeoutReport:
    """The lines that the app logged of a pool when the first caller gave up, `age_s` ago."""

    age_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Push:
    """The part of one OTLP request that describes one process.

    A `sequence` of None means that the sender is not poolscope, but an SDK that emits the
    conventions. Such a push lists no checkouts and no waiters, has no end marker, and an unknown
    interval. With `is_partial`, the series that it leaves out are unchanged since the last complete
    push. The seconds since the end of earlier listed checkouts are in `ended`, by their ids. The
    `owner` of the token is empty without tokens. The number of its points that could not be read is
    `unread`, by reason.
    """

    instance: Instance
    resource: Mapping[str, str]
    points: tuple[Point, ...]
    owner: str = ""
    sequence: int | None = None
    interval_s: float | None = None
    is_end: bool = False
    is_pressed: bool = False
    is_partial: bool = False
    wire_version: int = 1
    publisher: Publisher = Publisher.EXPORTER
    held: tuple[HeldCheckouts, ...] = ()
    waiters: tuple[WaitingCallers, ...] = ()
    backend_pids: Mapping[Pool, frozenset[int]] = field(default_factory=dict)
    ended: Mapping[int, float] = field(default_factory=dict)
    generations: Mapping[Pool, PoolGeneration] = field(default_factory=dict)
    pools_made: Mapping[Pool, PoolsMade] = field(default_factory=dict)
    stalls: tuple[LoopStall, ...] = ()
    inherited: Mapping[Pool, tuple[InheritedConnection, ...]] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)
    occupancy: Mapping[Occupied, float] = field(default_factory=dict)
    timeout_reports: Mapping[Pool, TimeoutReport] = field(default_factory=dict)
