"""Account for what happens to psycopg_pool's connections; nothing here locks, blocks or raises."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from types import CodeType, FrameType
from typing import Any
from weakref import ref

from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from poolscope.adapters.common.calling_frames import frame_running
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.slot_keeper import KeptSlot, PoolAttachments, kept_on
from poolscope.adapters.psycopg_pool.pools import PsycopgPoolReader, close_reason, identify_pool
from poolscope.catalogue import CloseReason, FailureReason, InvalidationReason, Phase
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, find_site
from poolscope.recording.checkout import Caller, count_nested
from poolscope.recording.connect_errors import classify_connect_error
from poolscope.recording.drivers import describe
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import Waiter, blocked_caller, make_pinging_caller

Check = Callable[[Any], Any]


class PsycopgPoolHooks:
    """What happens around a pool; no method takes a lock.

    What runs at each checkout or return contains its errors itself. Every other method may raise:
    it is wrapped by `contained` where it is registered.

    The statistics of a pool are kept on the pool, a connection's slot on the connection.
    """

    def __init__(self, registry: Registry) -> None:
        self.contain, self.contained = registry.contain, registry.contained
        self._count_nested = registry.contained(count_nested)
        self._pinging_caller = make_pinging_caller()
        self._look_at_timeout = registry.contained(look_at_timeout)
        self._queue_began = registry.contained(self._note_in_queue)
        self._collected = registry.contained(self._end_collected)
        self._max_routes = registry.max_routes
        self.attachments = PoolAttachments(registry, self._make, self._adopt)
        self.getconn_codes: set[CodeType] = set()
        """What runs while a caller is blocked; an asynchronous one has its `caller`."""

    def stats_of(self, pool: Any) -> PoolStats | None:
        """Return the statistics of a pool, made now if it is new; None where it is unwatched."""
        try:
            stats: PoolStats | None = pool._poolscope
        except AttributeError:
            stats = self.attachments.attach_pool_of(pool, pool)
        return stats

    def find(self, target: object) -> PoolStats | None:
        """Return the statistics of a pool; None if it is none."""
        is_pool = isinstance(target, (ConnectionPool, AsyncConnectionPool))
        return self.stats_of(target) if is_pool else None

    def _make(self, pool: Any) -> PoolStats:
        return PoolStats(
            identify_pool(pool),
            PsycopgPoolReader(ref(pool)),
            is_async=hasattr(type(pool), "__aenter__"),
            pre_ping=pool._check is not None,
            max_routes=self._max_routes,
        )

    def _adopt(self, pool: Any, stats: PoolStats) -> None:
        if pool._check is not None:
            measured = self.checked_later if stats.is_async else self.checked
            pool._check = measured(stats, pool._check)
        for connection in list(pool._pool):
            self.new_slot(stats, connection).connection_found(describe(connection))

    def detach_all(self) -> None:
        """Take everything away from the pools; what is checked out stays as it is."""
        for pool in self.attachments.anchors:
            pool._check = getattr(pool._check, "_poolscope_original", pool._check)
            stats = getattr(pool, "_poolscope", None)
            for reference in list(stats.slots) if stats is not None else ():
                take_off(reference(), "_poolscope")
        self.attachments.detach_pools()

    def new_slot(self, stats: PoolStats, connection: Any) -> KeptSlot:
        """Begin to account for a connection; it goes when the connection does."""
        slot = connection._poolscope = KeptSlot(stats, connection, self._collected)
        return slot

    def slot_of(self, stats: PoolStats, connection: Any) -> KeptSlot:
        """Return the slot of a connection; one that was opened before us is described now."""
        slot = kept_on(connection)
        if slot is None:
            slot = self.new_slot(stats, connection)
            slot.connection_found(describe(connection))
        return slot

    def failed(self, stats: PoolStats, error: BaseException) -> None:
        """Count a checkout that ended without a connection."""
        if isinstance(error, PoolTimeout):
            stats.failures[FailureReason.TIMEOUT] += 1
            self._look_at_timeout(stats, monotonic())
        elif isinstance(error, CancelledError):
            stats.failures[FailureReason.CANCELLED] += 1
        else:
            stats.failures[FailureReason.ERROR] += 1

    def returned(self, pool: Any, connection: Any) -> None:
        """Note a return, before the pool can hand the connection to somebody else."""
        try:
            try:
                slot = connection._poolscope
            except AttributeError:
                self._taken_before(pool, connection)
                return
            if connection._pool is pool:  # else the pool is about to refuse it
                slot.stats.end(slot, monotonic())
                slot.fresh = False
        except Exception as error:  # noqa: BLE001 - inline: runs at each return
            self.contain(error)

    def _taken_before(self, pool: Any, connection: Any) -> None:
        """Account from now on for a connection that was taken before we were attached."""
        stats = self.stats_of(pool)
        if stats is not None and connection._pool is pool:
            self.slot_of(stats, connection)

    def discarded(self, pool: Any, connection: Any) -> None:
        """Note that a pool dropped a returned connection: that is one which stays with it, dead."""
        if connection._pool is pool and connection.closed:
            slot = kept_on(connection)
            if slot is not None and slot.out is None:
                self._broken(slot)

    def closing(self, pool: Any, connection: Any) -> None:
        """Note that a pool closes a connection, right before it does."""
        slot = kept_on(connection)
        if slot is None or not slot.is_open:
            return
        reason = close_reason(pool, connection, slot)
        if reason is CloseReason.INVALIDATED:
            self._broken(slot)
        else:
            slot.stats.closed[reason] += 1
            slot.connection_closed()

    def _broken(self, slot: KeptSlot) -> None:
        if not slot.is_open:
            return
        slot.stats.closed[CloseReason.INVALIDATED] += 1
        if not slot.invalidated:
            slot.stats.invalidated[InvalidationReason.ERROR] += 1
        slot.connection_closed()

    def _end_collected(self, slot: KeptSlot) -> None:
        """Note that a connection was collected: leaked while it was out, or dropped as broken."""
        stats = slot.stats
        if slot.out is None:
            self._broken(slot)
            return
        stats.end(slot, monotonic())
        if isinstance(stats.reader, PsycopgPoolReader):
            stats.reader.lost += 1
        stats.closed[CloseReason.OTHER] += slot.is_open
        slot.connection_closed()

    def opened(self, stats: PoolStats, connection: Any, create_s: float) -> None:
        """Note a connection that was opened, and how long that took."""
        stats.create.count_value(create_s)
        stats.opened += 1
        slot = self.new_slot(stats, connection)
        slot.create_s = create_s
        slot.connection_opened(describe(connection))

    def connect_failed(self, stats: PoolStats, error: Exception) -> None:
        """Count a connection that could not be opened."""
        stats.connect_errors[classify_connect_error(error)] += 1

    def waited_for(self, caller: FrameType) -> PoolStats | None:
        """Return the statistics of the pool that a client waits for: `caller` is its method.

        The client, a place in the pool's queue, does not know whose queue it is.
        """
        return self.find(caller.f_locals.get("self"))

    def wait_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note that a caller is about to block in the queue; `frame` is what waits."""
        self._queue_began(stats, token, began_s, frame)
        self._count_nested(stats)

    def _note_in_queue(
        self, stats: PoolStats, token: int, began_s: float, frame: FrameType
    ) -> None:
        getting = frame_running(self.getconn_codes, frame)
        stats.waiting[token] = self._waiter(Phase.QUEUE, began_s, frame, getting)

    def connect_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that opens its connection itself, as those of a null pool do.

        The workers of other pools open connections for nobody in particular.
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
        """Note the end of a wait, with the connection that ended it, if one did.

        Where that is a new one, the time to open it was not spent in the queue.
        """
        stats.waiting.pop(token, None)
        waited_s = monotonic() - began_s
        slot = kept_on(connection)
        if slot is not None and slot.fresh:
            waited_s = max(0.0, waited_s - slot.create_s)
        stats.queue.count_value(waited_s)

    def _ping_began(self, stats: PoolStats, token: int, began_s: float) -> None:
        """Note a caller whose connection is about to be tested."""
        try:
            stats.waiting[token] = self._pinging_caller(began_s)
        except Exception as error:  # noqa: BLE001 - inline: runs at each checked checkout
            self.contain(error)

    def pinged(self, stats: PoolStats, connection: Any, began: float, *, alive: bool) -> None:
        """Note a liveness check before a checkout, and what it found."""
        try:
            stats.ping.count_value(monotonic() - began)
            slot = kept_on(connection)
            if not alive and slot is not None:
                slot.invalidated = True
                stats.invalidated[InvalidationReason.PING] += 1
                if connection.closed:  # the pool drops it without another word
                    self._broken(slot)
        except Exception as error:  # noqa: BLE001 - inline: runs at each checked checkout
            self.contain(error)

    def checked(self, stats: PoolStats, check: Check) -> Check:
        """Return a pool's `check` with its time and its verdict noted."""

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
        """Return an asynchronous pool's `check` with its time and its verdict noted."""

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
