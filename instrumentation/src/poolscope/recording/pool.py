"""Account for one pool: what its hooks count, and what is checked out of it right now.

Everything that a hook calls here takes no lock, calls no OpenTelemetry object and never logs:
hooks run in the caller's path, and out of the garbage collector inside anybody's lock.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeVar

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, FailureReason
from poolscope.clock import monotonic
from poolscope.recording.callsite import Site
from poolscope.recording.drivers import UNKNOWN, ConnectionFacts
from poolscope.recording.exhaustion import Exhaustion
from poolscope.recording.histogram import Histogram
from poolscope.recording.requests import Request
from poolscope.recording.tasks import Owner
from poolscope.recording.waiters import Waiter

Alive = Callable[[], object]
"""Returns None once the pooled connection object that the application holds is collected."""

CheckoutTuple = tuple[int, float, Site, Request | None, Owner, Any, Alive]
"""One checkout, as hooks make it; `OpenCheckout` names the parts, in the same order.

It is made whole and set at once, so that no reader sees half of it. It is a plain tuple because a
class, even a named tuple, costs a call for each checkout of the application.
"""


class OpenCheckout(NamedTuple):
    """One checkout by the names of its parts: `OpenCheckout._make(slot.out)`.

    Everything but a hook that runs at each checkout reads it so.
    """

    id: int
    """Never used again in this process."""
    taken_at_s: float
    """By `clock.monotonic`."""
    site: Site
    request: Request | None
    owner: Owner
    context: Any
    """The OpenTelemetry context that it was taken in."""
    alive: Alive


next_checkout_id = count(1).__next__

_Item = TypeVar("_Item")


class Slot:
    """One connection of a pool, and who has it."""

    __slots__ = ("facts", "fresh", "invalidated", "opened_at_s", "out", "queued_s", "stats")

    def __init__(self, stats: "PoolStats") -> None:
        self.stats = stats
        self.out: CheckoutTuple | None = None
        self.facts: ConnectionFacts = UNKNOWN
        self.opened_at_s: float | None = None
        self.fresh = False
        self.invalidated = False
        self.queued_s = 0.0

    def begin_session(self, facts: ConnectionFacts) -> None:
        """Begin a new connection to the server."""
        self.facts = facts
        self.opened_at_s = monotonic()
        self.fresh, self.invalidated = True, False

    def forget_session(self) -> None:
        """Forget the connection: a dead session's pid may soon be somebody else's."""
        self.facts, self.opened_at_s = UNKNOWN, None

    def expired(self, recycle_s: float) -> bool:
        """Return whether the connection is older than the pool lets it become (-1: any age)."""
        if recycle_s < 0 or self.opened_at_s is None:
            return False
        return monotonic() - self.opened_at_s >= recycle_s


@dataclass(frozen=True, slots=True)
class PoolIdentity:
    """How a pool is told from all others; the name is unique in its process."""

    name: str
    db_namespace: str = ""
    server_address: str = ""
    server_port: int | None = None
    db_system: str = ""


@dataclass(frozen=True, slots=True)
class PoolConfiguration:
    """Settings of a pool, times in seconds; None where it has no such setting or no limit."""

    pool_class: str
    library: str
    max: int | None = None
    idle_max: int | None = None
    idle_min: int | None = None
    size: int | None = None
    max_overflow: int | None = None
    timeout_s: float | None = None
    recycle_s: float | None = None
    pre_ping: bool | None = None


@dataclass(frozen=True, slots=True)
class PoolState:
    """Numbers of used and idle connections at one instant, read from the pool itself.

    `lost` counts those of the used ones that the application cannot return any more.
    """

    used: int
    idle: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class CollectedCheckout:
    """A checkout that the garbage collector ended."""

    id: int
    site: Site
    request: Request | None


class PoolReader(Protocol):
    """What an adapter provides to read its pool; called by the pusher only."""

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Return what is open and out; None once the pool is gone."""

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None once it is gone."""


COLLECTED_LIMIT = 1000

NOTED_LIMIT = 100
"""Most checkouts of a pool that are noted but not counted: the next one counts them."""


class PoolStats:
    """Counters, histograms and open checkouts of one pool.

    `slots` maps a weak reference of the pool library's own record of a connection to our slot.

    Hooks only note how many seconds somebody waited for a connection (`waits`), and had it for a
    request or none (`uses`): what lies in the processor's cache is the application's, not our
    histograms. `count` counts what is noted, and whoever reads `wait`, `use` or `routes` calls it.

    `exhaustion` is what the first caller that gave up saw, until the pusher takes it to log it;
    `look_again_at_s` is when another one may look.
    """

    def __init__(
        self,
        identity: PoolIdentity,
        reader: PoolReader,
        *,
        is_async: bool = False,
        pre_ping: bool = False,
        max_routes: int = 100,
    ) -> None:
        self.identity = identity
        self.reader = reader
        self.is_async = is_async
        self.pre_ping = pre_ping
        self.max_routes = max_routes
        self.slots: dict[Any, Slot] = {}
        self.waits: list[float] = []
        self.uses: list[tuple[float, Request | None]] = []
        self._wait = Histogram(catalogue.WAIT_TIME.bounds)
        self._use = Histogram(catalogue.USE_TIME.bounds)
        self._routes: dict[str, list[float]] = {}
        self.queue = Histogram(catalogue.QUEUE_TIME.bounds)
        self.create = Histogram(catalogue.CREATE_TIME.bounds)
        self.ping = Histogram(catalogue.PING_TIME.bounds)
        self.reset()

    @property
    def wait(self) -> Histogram:
        """Return how long callers waited for a connection."""
        self.count()
        return self._wait

    @property
    def use(self) -> Histogram:
        """Return how long connections were out."""
        self.count()
        return self._use

    @property
    def routes(self) -> dict[str, list[float]]:
        """Return for each route how many checkouts have ended, and the seconds they took."""
        self.count()
        return self._routes

    @property
    def timed(self) -> tuple[tuple[catalogue.Metric, Histogram], ...]:
        """Return all histograms of the pool with the metrics they are."""
        return (
            (catalogue.WAIT_TIME, self.wait),
            (catalogue.USE_TIME, self.use),
            (catalogue.QUEUE_TIME, self.queue),
            (catalogue.CREATE_TIME, self.create),
            (catalogue.PING_TIME, self.ping),
        )

    def buffer_samples(self) -> None:
        """Keep every sample for an OpenTelemetry provider too, from now on."""
        for _, histogram in self.timed:
            if histogram.buffer is None:
                histogram.buffer = deque()

    def reset(self) -> None:
        """Start again from zero: a forked child counts only its own."""
        for _, histogram in self.timed:
            histogram.clear()
        self._routes.clear()
        for slot in self.slots.copy().values():
            slot.out = None
        self.waiting: dict[int, Waiter] = {}
        self.exhaustion: Exhaustion | None = None
        self.look_again_at_s = 0.0
        self.failures: Counter[FailureReason] = Counter()
        self.connect_errors: Counter[ConnectErrorKind] = Counter()
        self.closed: Counter[catalogue.CloseReason] = Counter()
        self.invalidated: Counter[catalogue.InvalidationReason] = Counter()
        self.opened = 0
        self.blocking = 0
        self.nested = 0
        self.shared = 0
        self.untimed = 0
        self.collected: deque[CollectedCheckout] = deque(maxlen=COLLECTED_LIMIT)

    def discard_last_wait(self) -> None:
        """Take back the wait of the last checkout: it was not measured, and 0 would be a lie."""
        self._wait.counts[0] -= 1
        self.untimed += 1

    def end(self, slot: Slot, now_s: float) -> None:
        """Note the end of a checkout: a return, detachment, invalidation or collection.

        Ends that never began (a record that failed to reconnect is checked in without having been
        checked out) are none.
        """
        out = slot.out
        if out is None:
            return
        slot.out = None
        self.uses.append((now_s - out[1], out[3]))
        if out[6]() is None:
            self.note_collected(out)

    def note_collected(self, out: CheckoutTuple) -> None:
        """Note a checkout that the garbage collector has ended."""
        checkout = OpenCheckout._make(out)
        self.collected.append(CollectedCheckout(checkout.id, checkout.site, checkout.request))

    def open_checkouts(self) -> list[OpenCheckout]:
        """Return what is checked out at this instant, by names."""
        outs = [slot.out for slot in self.slots.copy().values()]
        return [OpenCheckout._make(out) for out in outs if out is not None]

    def count(self) -> None:
        """Count what is noted; several threads may at once, and hooks may note more meanwhile."""
        # Ends first: so a reader hardly ever sees more of them than checkouts.
        ended = drained(self.uses.pop)
        self._use.add_all([held_s for held_s, _ in ended])
        for held_s, request in ended:
            route = None if request is None else request.known_route or request.route
            if route is not None:
                totals = self._routes.get(route) or self._new_route(route)
                totals[0] += 1
                totals[1] += held_s
        self._wait.add_all(drained(self.waits.pop))

    def _new_route(self, route: str) -> list[float]:
        """Return the totals of a route that has none yet: those of all others beyond the limit."""
        if len(self._routes) >= self.max_routes:
            route = catalogue.OTHER
        return self._routes.setdefault(route, [0, 0.0])


def drained(take: Callable[[], _Item]) -> list[_Item]:
    """Take until nothing is left; other threads may append, or take, meanwhile."""
    taken: list[_Item] = []
    with suppress(IndexError):  # raised where there is no more; what was taken by then stays
        taken.extend(iter(take, None))
    return taken
