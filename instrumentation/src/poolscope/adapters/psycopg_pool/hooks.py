"""Record what happens to psycopg_pool's connections; nothing here locks, blocks or raises."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from sys import exc_info
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary, ref

from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from poolscope.adapters.common.calling_frames import frame_outside, frame_running
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.slot_keeper import KeptSlot, PoolAttachments, kept_on
from poolscope.adapters.psycopg_pool.pools import (
    LIBRARY,
    PsycopgPoolReader,
    close_reason,
    identify_pool,
    invalidation_reason,
)
from poolscope.catalogue import CloseReason, FailureReason, InvalidationReason, Phase
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site
from poolscope.recording.checkout import Caller, count_nested
from poolscope.recording.driver_errors.connect_errors import classify_connect_error
from poolscope.recording.drivers import describe
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import Waiter, blocked_caller, make_pinging_caller

Check = Callable[[Any], Any]

DJANGO = "django.db.backends.postgresql.base"
"""The module that makes Django's pool: no line of the application does."""


class PsycopgPoolHooks:
    """The hooks of psycopg_pool's pools; no method takes a lock.

    Methods that run at each checkout or return contain their errors. Every other method may
    raise: it is wrapped by `contained` where it is registered.

    The statistics of a pool are kept on the pool, and a connection's slot on the connection.
    """

    def __init__(self, registry: Registry) -> None:
        self.contain, self.contained = registry.contain, registry.contained
        self._count_nested = registry.contained(count_nested)
        self._pinging_caller = make_pinging_caller()
        self._look_at_timeout = registry.contained(look_at_timeout)
        self._queue_began = registry.contained(self._note_in_queue)
        self._collected = registry.contained(self._end_collected)
        self._note_made = registry.note_created_pool
        self._djangos: dict[CodeType, Site] = {}
        self._max_routes = registry.max_routes
        self.attachments = PoolAttachments(registry, self._make, self._adopt, _site_of)
        self._readers: WeakKeyDictionary[Any, PsycopgPoolReader] = WeakKeyDictionary()
        """The readers by their pools, and by the statistics of the last of these pools."""
        self.getconn_codes: set[CodeType] = set()
        """Code that runs while a caller is blocked; asynchronous code has its `caller`."""

    def stats_of(self, pool: Any) -> PoolStats | None:
        """Return the statistics of a pool, made now if it is new; None if it is not watched."""
        try:
            stats: PoolStats | None = pool._poolscope
        except AttributeError:
            stats = self.attachments.attach_pool_of(pool, pool)
        return stats

    def find(self, target: object) -> PoolStats | None:
        """Return the statistics of a pool; None if `target` is not a pool."""
        is_pool = isinstance(target, (ConnectionPool, AsyncConnectionPool))
        return self.stats_of(target) if is_pool else None

    def _make(self, pool: Any) -> PoolStats:
        reader = self._readers[pool] = PsycopgPoolReader(ref(pool))
        return PoolStats(
            identify_pool(pool),
            reader,
            library=LIBRARY,
            is_async=hasattr(type(pool), "__aenter__"),
            pre_ping=pool._check is not None,
            max_routes=self._max_routes,
        )

    def making(self, pool: Any, frame: FrameType) -> None:
        """Note the line that makes a pool; `frame` is the frame that asks for it.

        The pool may open connections at once, in other threads, so the line is noted first.
        """
        outside = frame_outside(pool, frame)
        if outside is not None and outside.f_globals.get("__name__") == DJANGO:
            # Else it would be the line of the first query, which has nothing to do with the pool.
            code = outside.f_code
            pool._poolscope_site = self._djangos.setdefault(code, Site(code, outside.f_lasti))
        else:
            pool._poolscope_site = find_site(outside)

    def made(self, pool: Any) -> None:
        """Count a pool at the line that made it."""
        self._note_made(pool, identify_pool(pool), _site_of(pool))

    def _adopt(self, pool: Any, stats: PoolStats) -> None:
        self._readers[stats] = self._readers[pool]
        if pool._check is not None:
            measured = self.checked_later if stats.is_async else self.checked
            pool._check = measured(stats, pool._check)
        for connection in list(pool._pool):
            self.new_slot(stats, connection).connection_found(describe(connection))

    def detach_all(self) -> None:
        """Remove everything from the pools; open checkouts stay as they are."""
        for pool in self.attachments.anchors:
            pool._check = getattr(pool._check, "_poolscope_original", pool._check)
            take_off(pool, "_poolscope_site")
            stats = getattr(pool, "_poolscope", None)
            for reference in list(stats.slots) if stats is not None else ():
                take_off(reference(), "_poolscope")
        self.attachments.detach_pools()

    def new_slot(self, stats: PoolStats, connection: Any) -> KeptSlot:
        """Make the slot of a connection; it is collected with the connection."""
        slot = connection._poolscope = KeptSlot(stats, connection, self._collected)
        return slot

    def slot_of(self, stats: PoolStats, connection: Any) -> KeptSlot:
        """Return the slot of a connection; if it is older than poolscope's hooks, make one now."""
        slot = kept_on(connection)
        if slot is None:
            slot = self.new_slot(stats, connection)
            slot.connection_found(describe(connection))
        return slot

    def failed(self, stats: PoolStats, error: BaseException, began_s: float) -> None:
        """Count a checkout that ended without a connection."""
        if isinstance(error, PoolTimeout):
            stats.note_failed(FailureReason.TIMEOUT, began_s)
            self._look_at_timeout(stats, monotonic())
        elif isinstance(error, CancelledError):
            stats.note_failed(FailureReason.CANCELLED, began_s)
        else:
            stats.note_failed(FailureReason.ERROR, began_s)

    def returned(self, pool: Any, connection: Any) -> None:
        """Note a return, before the pool can lend the connection again."""
        try:
            try:
                slot = connection._poolscope
            except AttributeError:
                self._taken_before(pool, connection)
                return
            if connection._pool is pool:  # else the pool will reject it
                slot.stats.end(slot, monotonic())
                slot.fresh = False
                slot.cancelled = exc_info()[0] is CancelledError
        except Exception as error:  # noqa: BLE001 - inline: runs at each return
            self.contain(error)

    def _taken_before(self, pool: Any, connection: Any) -> None:
        """Start to record a connection that was taken before poolscope attached."""
        stats = self.stats_of(pool)
        # The pool is about to reject what is no connection of its own: no error of ours.
        if stats is not None and getattr(connection, "_pool", None) is pool:
            self.slot_of(stats, connection)

    def discarded(self, pool: Any, connection: Any) -> None:
        """Note that a pool dropped a returned connection: closed, but still marked as its own."""
        if connection._pool is pool and connection.closed:
            slot = kept_on(connection)
            if slot is not None and slot.out is None:
                self._broken(slot, invalidation_reason(connection, slot, exc_info()[1]))

    def closing(self, pool: Any, connection: Any) -> None:
        """Note that a pool will close a connection now."""
        slot = kept_on(connection)
        if slot is None or not slot.is_open:
            return
        if slot.stats.statement_settings is None:
            slot.stats.note_statement_settings(connection)
        reason = close_reason(pool, connection, slot)
        if reason is CloseReason.INVALIDATED:
            self._broken(slot, invalidation_reason(connection, slot, exc_info()[1]))
        else:
            slot.stats.closed[reason] += 1
            slot.connection_closed()

    def _broken(
        self, slot: KeptSlot, reason: InvalidationReason = InvalidationReason.ERROR
    ) -> None:
        if not slot.is_open:
            return
        slot.stats.closed[CloseReason.INVALIDATED] += 1
        if not slot.invalidated:
            slot.stats.invalidated[reason] += 1
        slot.connection_closed()

    def _end_collected(self, slot: KeptSlot) -> None:
        """Note that a connection was collected: leaked while it was out, or dropped as broken."""
        stats = slot.stats
        if slot.out is None:
            self._broken(slot)
            return
        stats.end(slot, monotonic())
        self._readers[stats].lost += 1
        stats.closed[CloseReason.OTHER] += slot.is_open
        slot.connection_closed()

    def opened(
        self, stats: PoolStats, connection: Any, create_s: float, waiter: Waiter | None
    ) -> None:
        """Note a new connection, the time to open it, and the caller that waited for it."""
        stats.create.count_value(create_s)
        stats.note_connect_wait(waiter)
        stats.opened += 1
        slot = self.new_slot(stats, connection)
        slot.create_s = create_s
        slot.connection_opened(describe(connection))

    def connect_failed(self, stats: PoolStats, error: Exception) -> None:
        """Count a connection that could not be opened."""
        stats.connect_errors[classify_connect_error(error)] += 1

    def waited_for(self, caller: FrameType) -> PoolStats | None:
        """Return the statistics of the pool that a client waits for; `caller` is a pool's method.

        The client is a place in the pool's queue, and has no reference to the pool.
        """
        return self.find(caller.f_locals.get("self"))

    def wait_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note that a caller will block in the queue now, at `frame`."""
        self._queue_began(stats, token, began_s, frame)
        self._count_nested(stats, token)

    def _note_in_queue(
        self, stats: PoolStats, token: int, began_s: float, frame: FrameType
    ) -> None:
        getting = frame_running(self.getconn_codes, frame)
        stats.waiting[token] = self._waiter(Phase.QUEUE, began_s, frame, getting)

    def connect_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that opens its connection itself, as the callers of a null pool do.

        The workers of other pools open connections without a particular caller.
        """
        getting = frame_running(self.getconn_codes, frame)
        if getting is not None:
            stats.waiting[token] = self._waiter(Phase.CONNECT, began_s, frame, getting)

    def _waiter(
        self, phase: Phase, began_s: float, frame: FrameType, getting: FrameType | None
    ) -> Waiter:
        caller: Caller | None = None if getting is None else getting.f_locals.get("caller")
        if caller is None or caller[0] is UNKNOWN_SITE:
            return blocked_caller(phase, began_s, find_site(frame), running_owner())
        return blocked_caller(phase, began_s, *caller)

    def wait_ended(self, stats: PoolStats, token: int, began_s: float, connection: Any) -> None:
        """Note the end of a wait, and the connection that ended it, if there is one.

        For a new connection, the time to open it does not count as time in the queue.
        """
        waiter = stats.waiting.pop(token, None)
        waited_s = monotonic() - began_s
        slot = kept_on(connection)
        if slot is not None and slot.fresh:
            create_s = min(waited_s, slot.create_s)
            waited_s -= create_s
            stats.note_connect_wait(waiter)
            stats.slow.note_phase(Phase.CONNECT, began_s, create_s)
        stats.note_queue_time(began_s, waited_s)

    def _ping_began(self, stats: PoolStats, token: int, began_s: float) -> None:
        """Note a caller with a connection that will be tested now."""
        try:
            stats.waiting[token] = self._pinging_caller(began_s)
        except Exception as error:  # noqa: BLE001 - inline: runs at each checked checkout
            self.contain(error)

    def pinged(self, stats: PoolStats, connection: Any, began: float, *, alive: bool) -> None:
        """Note a liveness check before a checkout, and its result."""
        try:
            stats.ping.count_value(monotonic() - began)
            slot = kept_on(connection)
            if not alive and slot is not None:
                slot.invalidated = True
                stats.invalidated[InvalidationReason.PING] += 1
                if connection.closed:  # the pool drops it without a call of another hook
                    self._broken(slot)
        except Exception as error:  # noqa: BLE001 - inline: runs at each checked checkout
            self.contain(error)

    def checked(self, stats: PoolStats, check: Check) -> Check:
        """Return a pool's `check` that notes its time and its result."""

        def measured_check(connection: Any) -> None:
            began, alive, token = monotonic(), False, next_checkout_id()
            try:
                self._ping_began(stats, token, began)
                check(connection)
                alive = True
            finally:
                stats.waiting.pop(token, None)
                self.pinged(stats, connection, began, alive=alive)

        measured_check._poolscope_original = check  # type: ignore[attr-defined]
        return measured_check

    def checked_later(self, stats: PoolStats, check: Check) -> Callable[[Any], Awaitable[None]]:
        """Return an asynchronous pool's `check` that notes its time and its result."""

        async def measured_check(connection: Any) -> None:
            began, alive, token = monotonic(), False, next_checkout_id()
            try:
                self._ping_began(stats, token, began)
                await check(connection)
                alive = True
            finally:
                stats.waiting.pop(token, None)
                self.pinged(stats, connection, began, alive=alive)

        measured_check._poolscope_original = check  # type: ignore[attr-defined]
        return measured_check


def _site_of(pool: Any) -> Site:
    site: Site = getattr(pool, "_poolscope_site", UNKNOWN_SITE)
    return site
