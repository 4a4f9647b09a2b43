"""The holders and the waiters of a pool at the instant when a caller gave up: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from poolscope.catalogue import OwnerKind, Phase
from poolscope.recording.callsite import Site


@dataclass(frozen=True, slots=True)
class HolderThen:
    """One checkout that was open at that instant."""

    checkout_id: int
    site: Site
    route: str | None
    owner: OwnerKind
    age_s: float
    backend_pid: int | None


@dataclass(frozen=True, slots=True)
class WaitersThen:
    """Callers that waited in one phase at one line for one route."""

    phase: Phase
    site: Site
    route: str | None
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A pool at that instant; the totals also count what the lists leave out.

    `used` and `idle` are None if the pool is gone.
    """

    used: int | None
    idle: int | None
    held_total: int
    holders: tuple[HolderThen, ...]
    waiting: Mapping[Phase, int]
    waiters: tuple[WaitersThen, ...]
