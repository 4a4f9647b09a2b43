"""Describe what applications say: processes, pools, held checkouts, series, and whole pushes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from poolscope.catalogue import Evidence, Kind, OwnerKind, Publisher
from poolscope_exporter.core.model.sessions import Endpoint


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """One application process (or whatever the sender calls an instance)."""

    namespace: str
    name: str
    id: str


@dataclass(frozen=True, slots=True, order=True)
class Pool:
    """One pool of one process; `server_port` is 0 where the application did not say."""

    instance: Instance
    name: str
    db_namespace: str
    server_address: str
    server_port: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """One held connection, as of a push; `id` is never reused within its process."""

    pool: Pool
    id: int
    age_s: float
    backend_pid: int | None = None
    local: Endpoint | None = None
    peer: Endpoint | None = None
    connection_age_s: float | None = None
    route: str | None = None
    code_file: str | None = None
    code_line: int | None = None
    code_function: str | None = None
    owner_kind: OwnerKind | None = None
    evidence: Evidence | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class HeldCheckouts:
    """The held checkouts of one pool; complete when as many are listed as are held."""

    pool: Pool
    held: int
    listed: tuple[Checkout, ...]


@dataclass(frozen=True, slots=True)
class Buckets:
    """The value of a histogram point: counts per bucket (not cumulative), the last is +Inf."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


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
    value: float | Buckets
    is_delta: bool = False
    start_ns: int = 0
    time_ns: int = 0


@dataclass(frozen=True, slots=True)
class Push:
    """One OTLP request's worth of one process.

    `sequence` is None for senders that are not poolscope (any SDK that emits the conventions);
    such a push has no held checkouts and no end marker, and its interval is unknown.
    """

    instance: Instance
    resource: Mapping[str, str]
    points: tuple[Point, ...]
    sequence: int | None = None
    interval_s: float | None = None
    is_end: bool = False
    publisher: Publisher = Publisher.EXPORTER
    held: tuple[HeldCheckouts, ...] = ()
    backend_pids: Mapping[Pool, frozenset[int]] = field(default_factory=dict)
