"""Count what happens in one pool, and keep its open checkouts.

Code that a hook calls here takes no lock, calls no OpenTelemetry object and never logs. A hook
runs in the caller's path. The garbage collector may also run it while another lock is held.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Any, NamedTuple, Protocol, TypeVar

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, FailureReason
from poolscope.clock import monotonic
from poolscope.recording.callsite import Site
from poolscope.recording.drivers import (
    UNKNOWN,
    ConnectionFacts,
    StatementSettings,
    read_statement_settings,
)
from poolscope.recording.exhaustion import Exhaustion
from poolscope.recording.histogram import Histogram
from poolscope.recording.requests import Request
from poolscope.recording.session_use import SessionUse, SharedKey
from poolscope.recording.tasks import Owner, ThreadOwner, running_loop
from poolscope.recording.traces.slow_notes import SLOW_WAIT_S, SlowNotes, SlowUse
from poolscope.recording.waiters import RequestWaits, Waiter

Alive = Callable[[], object]
"""Returns None after the pooled connection object that the application holds was collected."""

CheckoutTuple = tuple[int, float, Site, Request | None, Owner, Any, Alive]
"""One checkout, as hooks make it; `OpenCheckout` names the parts, in the same order.

It is complete when it is assigned, so that no reader sees half of it. It is a plain tuple because
a class, even a named tuple, costs one more call at each checkout of the application.
"""


class OpenCheckout(NamedTuple):
    """One checkout with named parts: `OpenCheckout._make(slot.out)`.

    Code that does not run at each checkout reads checkouts in this form.
    """

    id: int
    """Unique in this process, never used again."""
    taken_at_s: float
    """By `clock.monotonic`."""
    site: Site
    request: Request | None
    owner: Owner
    context: Any
    """The OpenTelemetry context in which it was taken."""
    alive: Alive


EndedUse = tuple[float, float, Request | None, int, Any]
"""An ended checkout, as hooks note it: its end, start, request, id and OpenTelemetry context."""

InheritedUse = tuple[ConnectionFacts, CheckoutTuple]
"""A connection of another process, and its last checkout in this process."""

next_checkout_id = count(1).__next__

_Item = TypeVar("_Item")


class Slot:
    """One connection of a pool, and its checkout if it is out."""

    __slots__ = (
        "facts", "fresh", "invalidated", "last_out", "loop", "opened_at_s", "out", "queued_s",
        "stats", "use",
    )  # fmt: skip

    def __init__(self, stats: "PoolStats") -> None:
        self.stats = stats
        self.out: CheckoutTuple | None = None
        self.last_out: CheckoutTuple | None = None  # only `InheritedSlot` sets it
        self.facts: ConnectionFacts = UNKNOWN
        self.loop: object = None  # the event loop that the driver bound the connection to, if any
        self.opened_at_s: float | None = None
        self.fresh = False
        self.invalidated = False
        self.queued_s = 0.0
        self.use: SessionUse | None = None

    def use_of(self, out: CheckoutTuple) -> SessionUse:
        """Return the record of the tasks and requests that used this checkout so far."""
        use = self.use
        if use is None or use.out is not out:
            use = self.use = SessionUse(out)
        return use

    def begin_session(self, facts: ConnectionFacts) -> None:
        """Note a new connection to the server."""
        self.facts = facts
        self.opened_at_s = monotonic()
        self.fresh, self.invalidated = True, False

    def forget_session(self) -> None:
        """Drop the facts of the connection: another session may soon get the same backend PID."""
        self.facts, self.opened_at_s, self.loop = UNKNOWN, None, None

    def expired(self, recycle_s: float) -> bool:
        """Return whether the connection is older than the pool allows (-1 means no limit)."""
        if recycle_s < 0 or self.opened_at_s is None:
            return False
        return monotonic() - self.opened_at_s >= recycle_s


@dataclass(frozen=True, slots=True)
class PoolIdentity:
    """The attributes that identify a pool; the name is unique in its process."""

    name: str
    db_namespace: str = ""
    server_address: str = ""
    server_port: int | None = None
    db_system: str = ""

    def __post_init__(self) -> None:
        """Convert values of other types to text: a library, or a mock, may give any object."""
        for name in ("name", "db_namespace", "server_address", "db_system"):
            value = getattr(self, name)
            if type(value) is not str:
                object.__setattr__(self, name, "" if value is None else str(value))
        if type(self.server_port) is not int:
            object.__setattr__(self, "server_port", None)


@dataclass(frozen=True, slots=True)
class PoolConfiguration:
    """Settings of a pool, times in seconds; None if it has no such setting or no limit.

    If there is no limit for opening a connection, `connect_timeout_s` is 0; it is None if unknown.
    The limit `idle_timeout_s` applies to connections beyond `idle_min`; it is 0 if switched off.
    """

    pool_class: str
    library: str
    max: int | None = None
    idle_max: int | None = None
    idle_min: int | None = None
    size: int | None = None
    max_overflow: int | None = None
    timeout_s: float | None = None
    connect_timeout_s: float | None = None
    recycle_s: float | None = None
    idle_timeout_s: float | None = None
    pre_ping: bool | None = None


@dataclass(frozen=True, slots=True)
class PoolState:
    """Numbers of used and idle connections at one instant, read from the pool itself.

    `lost` counts the used connections that the application can no longer return.
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


class LongUse(NamedTuple):
    """A checkout that ended and may have been in a push while it was out."""

    id: int
    ended_at_s: float
    """By `clock.monotonic`."""


class PoolReader(Protocol):
    """The methods of an adapter that read its pool, called by the pusher and at a time-out."""

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Return the numbers of used and idle connections; None if the pool is gone."""

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None if it is gone."""

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        """Return any open connection, in the form that the pool keeps; None if there is none."""

    def is_closed(self) -> bool:
        """Return whether the pool was closed, and can never be used again."""


COLLECTED_LIMIT = 1000

CLOSED_INHERITED_LIMIT = 20
"""Most closed inherited connections that are kept: they are often closed at their first use."""

LONG_USE_S = 0.1
"""Shorter uses are not reported as ended: a push lists them only if `held_after_s` is near 0."""

LONG_USES_LIMIT = 1000
"""Most long uses that are kept from one push to the next."""

NOTED_LIMIT = 100
"""Most checkouts of a pool that are noted but not counted: the next checkout counts them."""


class PoolStats:
    """Counters, histograms and open checkouts of one pool.

    `slots` maps a weak reference of the pool library's record of a connection to poolscope's slot.

    Hooks only note the seconds that a caller waited (`waits`) and the start and end of each
    checkout (`uses`). They do not touch the histograms, which would evict the application's data
    from the processor's cache. `count` counts the notes. The properties `wait`, `use`, `routes`
    and `request_waits` call it before they return.

    `statement_settings` are the settings of the last connection that was read: a pool opens all
    of its connections in the same way. None until a connection was read.

    `caller_timeout_s` is the longest time-out that a caller gave, for a pool without a time-out.
    It is infinite if a caller had to wait without one, and None before the first such caller.

    When a caller gives up, `exhaustion` is the state of the pool; the pusher takes it and logs it.
    No further state is recorded before `look_again_at_s`.
    """

    def __init__(
        self,
        identity: PoolIdentity,
        reader: PoolReader,
        *,
        library: str = "",
        is_async: bool = False,
        pre_ping: bool = False,
        max_routes: int = 100,
    ) -> None:
        self.identity = identity
        self.library = library
        self.reader = reader
        self.is_async = is_async
        self.pre_ping = pre_ping
        self.max_routes = max_routes
        self.slots: dict[Any, Slot] = {}
        self.statement_settings: StatementSettings | None = None
        self.caller_timeout_s: float | None = None
        self.waits: list[float] = []
        self.uses: list[EndedUse] = []
        self.slow = SlowNotes()
        self.notice_waits(SLOW_WAIT_S)
        self._wait = Histogram(catalogue.WAIT_TIME.bounds)
        self._use = Histogram(catalogue.USE_TIME.bounds)
        self.queue = Histogram(catalogue.QUEUE_TIME.bounds)
        self.create = Histogram(catalogue.CREATE_TIME.bounds)
        self.ping = Histogram(catalogue.PING_TIME.bounds)
        self.reset()

    @property
    def wait(self) -> Histogram:
        """Return the histogram of the time that callers waited for a connection."""
        self.count()
        return self._wait

    @property
    def use(self) -> Histogram:
        """Return the histogram of the time that connections were checked out."""
        self.count()
        return self._use

    @property
    def routes(self) -> dict[str, list[float]]:
        """Return for each route the number of ended checkouts and the seconds that they took."""
        self.count()
        return self._routes

    @property
    def request_waits(self) -> RequestWaits:
        """Return how many checkouts requests made, and how many waited for a new connection."""
        self.count()
        return self._request_waits

    @property
    def timed(self) -> tuple[tuple[catalogue.Metric, Histogram], ...]:
        """Return all histograms of the pool, each with its metric."""
        return (
            (catalogue.WAIT_TIME, self.wait),
            (catalogue.USE_TIME, self.use),
            (catalogue.QUEUE_TIME, self.queue),
            (catalogue.CREATE_TIME, self.create),
            (catalogue.PING_TIME, self.ping),
        )

    def buffer_samples(self) -> None:
        """Keep each sample also for an OpenTelemetry provider, from now on."""
        for _, histogram in self.timed:
            if histogram.buffer is None:
                histogram.buffer = deque()

    def notice_waits(self, slow_s: float) -> None:
        """Note waits and uses of at least `slow_s`; hooks notice each wait with a check."""
        self.slow.slow_s = slow_s
        self.noticed_wait_s = 0.0 if self.pre_ping else slow_s

    def reset(self) -> None:
        """Start again from zero: a forked child must not count what its parent counted."""
        for _, histogram in self.timed:
            histogram.clear()
        self.slow.clear_notes()  # reading a histogram notes the slow uses first
        for slot in list(self.slots.values()):
            slot.out = None
        self.waiting: dict[int, Waiter] = {}
        self._begin_counters()

    def _begin_counters(self) -> None:
        self._routes: dict[str, list[float]] = {}
        self._request_waits = RequestWaits()
        self.exhaustion: Exhaustion | None = None
        self.look_again_at_s = 0.0
        self.failures: Counter[FailureReason] = Counter()
        self.connect_errors: Counter[ConnectErrorKind] = Counter()
        self.closed: Counter[catalogue.CloseReason] = Counter()
        self.invalidated: Counter[catalogue.InvalidationReason] = Counter()
        self.opened = 0
        self.blocking = self._most_blocking = 0
        self.foreign_loop = 0
        self.inherited = 0
        self.closed_inherited: deque[InheritedUse] = deque(maxlen=CLOSED_INHERITED_LIMIT)
        self.nested = 0
        self.shared: Counter[SharedKey] = Counter()
        self.untimed = 0
        self.long_uses: deque[LongUse] = deque(maxlen=LONG_USES_LIMIT)
        self.collected: deque[CollectedCheckout] = deque(maxlen=COLLECTED_LIMIT)

    @property
    def is_busy(self) -> bool:
        """Return whether a connection is out, or a caller waits for one."""
        return bool(self.waiting) or any(slot.out is not None for slot in list(self.slots.values()))

    @property
    def is_unused(self) -> bool:
        """Return whether nobody ever asked the pool for a connection, and it opened none."""
        counted = sum(self.wait.counts) + self.untimed + self.opened
        return not (counted or self.failures or self.connect_errors)

    def begin_next_pool(self, following: "PoolStats") -> None:
        """Continue to count for the next pool, and read its settings from now on."""
        self.reader = following.reader
        self.statement_settings, self.caller_timeout_s = None, None

    def take_totals(self) -> "PoolStats":
        """Return the totals so far, and start again from zero; open checkouts stay here."""
        self.count()
        past = copy(self)
        past.slots, past.waiting, past.waits, past.uses = {}, {}, [], []
        self._wait, self._use = _empty(self._wait), _empty(self._use)
        self.queue, self.create, self.ping = map(_empty, (self.queue, self.create, self.ping))
        self._begin_counters()
        return past

    @property
    def blocking_checkouts(self) -> int:
        """Return how many checkouts blocked an event loop, including callers that still wait.

        It never decreases: `blocking` counts an ended wait a moment later than the wait ends.
        """
        waiting = 0 if self.is_async else sum(map(_blocks_loop, list(self.waiting.values())))
        self._most_blocking = max(self._most_blocking, self.blocking + waiting)
        return self._most_blocking

    def note_failed(self, reason: FailureReason, began_s: float) -> None:
        """Note a caller that got no connection; if it blocked an event loop, count that too."""
        self.failures[reason] += 1
        self.slow.note_wait(began_s, monotonic(), reason)
        if not self.is_async and running_loop() is not None:
            self.blocking += 1

    def note_queue_time(self, began_s: float, waited_s: float) -> None:
        """Count the time that a caller waited for a place in the pool."""
        self.queue.count_value(waited_s)
        self.slow.note_phase(catalogue.Phase.QUEUE, began_s, waited_s)

    def note_connect_ended(self, waiter: Waiter | None) -> None:
        """Note that opening a connection ended or failed; `waiter` waited for it, if anyone."""
        if waiter is not None:
            self.slow.note_phase(waiter.phase, waiter.since_s, monotonic() - waiter.since_s)

    def discard_last_wait(self) -> None:
        """Remove the wait of the last checkout: it was not measured, and 0 would be wrong."""
        self._wait.counts[0] -= 1
        self.untimed += 1

    def end(self, slot: Slot, now_s: float) -> None:
        """Note the end of a checkout: a return, detachment, invalidation or collection.

        Does nothing if the connection is not checked out. SQLAlchemy also checks in a record that
        failed to reconnect and was never checked out.
        """
        out = slot.out
        if out is None:
            return
        slot.out = None
        self.uses.append((now_s, out[1], out[3], out[0], out[5]))
        if out[6]() is None:
            self.note_collected(out)

    def note_collected(self, out: CheckoutTuple) -> None:
        """Note a checkout that the garbage collector has ended."""
        checkout = OpenCheckout._make(out)
        self.collected.append(CollectedCheckout(checkout.id, checkout.site, checkout.request))

    def note_connect_wait(self, waiter: Waiter | None) -> None:
        """Note that a new connection is open; `waiter` is the caller that waited for it."""
        self._request_waits.count_connect_wait(waiter)

    def note_statement_settings(self, connection: Any) -> None:
        """Note whether the driver keeps prepared statements, from an open or closing connection.

        Do not call it for a new connection: the application may change settings after the connect.
        """
        found = read_statement_settings(connection)
        if found is not None:
            self.statement_settings = found

    def note_caller_timeout(self, timeout_s: float | None) -> None:
        """Note the time-out that a caller gave; None means no time-out."""
        given = inf if timeout_s is None else timeout_s
        if self.caller_timeout_s is None or given > self.caller_timeout_s:
            self.caller_timeout_s = given

    def open_checkouts(self) -> list[OpenCheckout]:
        """Return the open checkouts, with named parts."""
        outs = [slot.out for slot in list(self.slots.values())]
        return [OpenCheckout._make(out) for out in outs if out is not None]

    def count(self) -> None:
        """Count the notes; several threads may call it at once while hooks add more."""
        if not self.uses and not self.waits:
            return  # an idle pool, which the watcher counts every second
        # Count ends first, so that a reader hardly ever sees more ends than checkouts.
        ended = drained(self.uses.pop)
        self._use.add_all([ended_s - taken_s for ended_s, taken_s, _, _, _ in ended])
        self._request_waits.count_taken(
            [
                taken_s
                for _, taken_s, request, _, _ in ended
                if request is not None and request.counts_as_request
            ]
        )
        slow_s, slow_uses = self.slow.slow_s, self.slow.uses
        for ended_s, taken_s, request, checkout_id, context in ended:
            held_s = ended_s - taken_s
            if held_s >= slow_s and context:
                slow_uses.append(SlowUse(held_s, ended_s, context))
            if held_s >= LONG_USE_S:
                self.long_uses.append(LongUse(checkout_id, ended_s))
            route = None if request is None else request.known_route or request.route
            if route is not None:
                totals = self._routes.get(route) or self._new_route(route)
                totals[0] += 1
                totals[1] += held_s
        self._wait.add_all(drained(self.waits.pop))

    def _new_route(self, route: str) -> list[float]:
        """Return the totals of a new route; beyond the limit, the shared totals of `other`."""
        if len(self._routes) >= self.max_routes:
            route = catalogue.OTHER
        return self._routes.setdefault(route, [0, 0.0])


def _empty(histogram: Histogram) -> Histogram:
    """Return a histogram without counts; it gets the samples that are kept for a provider."""
    empty = Histogram(histogram.bounds)
    empty.buffer = histogram.buffer
    return empty


def _blocks_loop(waiter: Waiter) -> bool:
    return not isinstance(waiter.owner, ThreadOwner)


def drained(take: Callable[[], _Item]) -> list[_Item]:
    """Take items until none is left; other threads may append or take items meanwhile."""
    taken: list[_Item] = []
    with suppress(IndexError):  # raised when there are no more items; the taken items stay
        taken.extend(iter(take, None))
    return taken
