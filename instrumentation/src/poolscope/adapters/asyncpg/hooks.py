"""Record what happens to asyncpg's connections; nothing here locks, blocks or raises."""

import sys
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Sequence
from types import CodeType, FrameType
from typing import Any

from asyncpg.pool import Pool, PoolConnectionHolder  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.losses import Losses
from poolscope.adapters.asyncpg.pools import (
    HOLDERS_ARE_WEAK,
    LIBRARY,
    AsyncpgPoolReader,
    Life,
    close_reason,
    holder_finder,
    identify_pool,
)
from poolscope.adapters.common.calling_frames import frame_running
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.slot_keeper import KeptSlot, PoolAttachments
from poolscope.catalogue import (
    CloseReason,
    FailureReason,
    InvalidationReason,
    Phase,
    SharedReason,
)
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site
from poolscope.recording.checkout import count_nested, make_record_checkout
from poolscope.recording.driver_errors.connect_errors import classify_connect_error
from poolscope.recording.drivers import describe
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.session_use import count_shared
from poolscope.recording.tasks import running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import Waiter, blocked_caller

CONNECTING = "_poolscope_connecting"
SITE = "_poolscope_site"


class AsyncpgHooks:
    """The hooks of asyncpg's pools; no method takes a lock.

    Methods that run at each checkout contain their errors. Every other method may raise: it is
    wrapped by `contained` where it is registered.

    A pool and its holders have no `__dict__`. So the statistics of a pool and its slots by holder
    are kept on its queue. The garbage collector collects all of them with the pool.
    """

    def __init__(self, registry: Registry) -> None:
        self.contain, self.contained = registry.contain, registry.contained
        self._look_at_timeout = registry.contained(look_at_timeout)
        self._collected = registry.contained(self._end_collected)
        self._note_made = registry.note_created_pool
        self._max_routes = registry.max_routes
        self._sites: dict[int, Site] = {}  # of pools that connect now, by their ids
        self.attachments = PoolAttachments(registry, self._make, self._adopt, self._site_of)
        self.losses = Losses(registry)
        self.record_checkout = make_record_checkout()
        self.context_class: type | None = None
        """The class of `acquire()`'s result, if it is not the driver's class."""
        self.acquire_codes: set[CodeType] = set()
        """Code that runs while a caller is blocked; its `self` has the caller."""
        acquire = getattr(PoolConnectionHolder, "acquire", None)
        self._holder_code: CodeType | None = getattr(acquire, "__code__", None)

    def stats_of(self, pool: Any) -> PoolStats | None:
        """Return the statistics of a pool, made now if it is new; None if it is not watched."""
        queue = pool._queue
        if queue is None:
            return None  # not initialised: the driver will raise
        if not hasattr(queue, "_poolscope"):
            return self.attachments.attach_pool_of(queue, pool)
        stats: PoolStats | None = queue._poolscope
        return stats

    def find(self, target: object) -> PoolStats | None:
        """Return the statistics of an initialised pool; None if `target` is not one."""
        return self.stats_of(target) if isinstance(target, Pool) else None

    def _make(self, pool: Any) -> PoolStats:
        return PoolStats(
            identify_pool(pool),
            AsyncpgPoolReader(holder_finder(pool)),
            library=LIBRARY,
            is_async=True,
            max_routes=self._max_routes,
        )

    def making(self, pool: Any, site: Site) -> None:
        """Note the line that awaits a new pool, before it connects: it allows no attributes."""
        self._sites[id(pool)] = site

    def _site_of(self, pool: Any) -> Site:
        noted: Site = getattr(pool._queue, SITE, UNKNOWN_SITE)
        return self._sites.get(id(pool), noted)

    def made(self, pool: Any) -> None:
        """Note a pool that is ready, or failed to connect.

        The queue represents the pool, which allows no weak references.
        """
        site = self._sites.pop(id(pool), UNKNOWN_SITE)
        if pool._queue is not None:
            setattr(pool._queue, SITE, site)
            self._note_made(pool._queue, identify_pool(pool), site)

    def _adopt(self, pool: Any, stats: PoolStats) -> None:
        queue = pool._queue
        slots: dict[Any, KeptSlot] = {}
        queue._poolscope_lives = []
        for holder in pool._holders:
            kept = holder if HOLDERS_ARE_WEAK else Life()
            queue._poolscope_lives.append(kept)
            slot = slots[holder] = KeptSlot(stats, kept, self._collected)
            if holder.is_connected():
                slot.connection_found(describe(holder._con))
        queue._poolscope_slots = slots

    def _end_collected(self, slot: KeptSlot) -> None:
        """Note that a pool was collected, maybe while this connection was out."""
        slot.stats.end(slot, monotonic())

    def detach_all(self) -> None:
        """Remove everything from the pools; open checkouts stay as they are."""
        for queue in self.attachments.anchors:
            take_off(queue, "get", "_poolscope_slots", "_poolscope_lives", SITE)
        self.attachments.detach_pools()

    def shared(self, connection: Any, frame: FrameType) -> None:
        """Note that two tasks use one connection of a pool at once; `frame` got the error."""
        proxy = getattr(connection, "_proxy", None)
        if proxy is None:
            return
        holder = proxy._holder
        stats = self.stats_of(holder._pool)
        if stats is not None:
            out = holder._pool._queue._poolscope_slots[holder].out
            taken_at = UNKNOWN_SITE if out is None else out[2]
            count_shared(stats.shared, SharedReason.ERROR, taken_at, find_site(frame))

    def note_foreign_loop(self, pool: Any) -> None:
        """Count a request for a connection on another event loop than the pool's.

        The driver binds all connections of a pool to the loop for which the pool was made.
        """
        stats = self.stats_of(pool)
        if stats is not None:
            stats.foreign_loop += 1

    def failed(self, stats: PoolStats, error: BaseException, began_s: float) -> None:
        """Count a checkout that ended without a connection; a slow server is no pool time-out."""
        if isinstance(error, CancelledError):
            stats.note_failed(FailureReason.CANCELLED, began_s)
        elif isinstance(error, TimeoutError) and CONNECTING not in error.__dict__:
            stats.note_failed(FailureReason.TIMEOUT, began_s)
            self._look_at_timeout(stats, monotonic())
        else:
            stats.note_failed(FailureReason.ERROR, began_s)

    def connect_failed(self, stats: PoolStats, error: Exception) -> None:
        """Count a connection that could not be opened."""
        stats.connect_errors[classify_connect_error(error)] += 1
        error.__dict__[CONNECTING] = True

    def connect_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that waits for a new connection; `frame` is the code that opens it.

        The pool also opens connections without a caller: when it is made, and to keep its minimum.
        """
        if frame.f_code is self._holder_code:
            stats.waiting[token] = self._waiter(Phase.CONNECT, began_s, frame)

    def queue_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that waits for a place in the pool, at `frame`."""
        stats.waiting[token] = self._waiter(Phase.QUEUE, began_s, frame)

    def _waiter(self, phase: Phase, began_s: float, frame: FrameType) -> Waiter:
        acquiring = frame_running(self.acquire_codes, frame)
        context = None if acquiring is None else acquiring.f_locals["self"]
        if context is None or context.site is None or context.site is UNKNOWN_SITE:
            return blocked_caller(phase, began_s, find_site(frame), running_owner())
        return blocked_caller(phase, began_s, context.site, context.owner)

    def replaced(self, stats: PoolStats, holder: Any) -> None:
        """Note the end of a connection that a holder will replace, if it was not noted.

        Up to asyncpg 0.31 no method is called for a connection that expired or was found closed.
        """
        slot: KeptSlot = holder._pool._queue._poolscope_slots[holder]
        if not slot.is_open:
            return
        if holder._generation != holder._pool._generation:
            stats.closed[CloseReason.RECYCLED] += 1
        else:
            stats.closed[CloseReason.INVALIDATED] += 1
            stats.invalidated[InvalidationReason.LOST_WHILE_IDLE] += 1
        slot.connection_closed()

    def opened(self, stats: PoolStats, holder: Any, create_s: float, waiter: Waiter | None) -> None:
        """Note a new connection, the time to open it, and the caller that waited for it."""
        stats.create.count_value(create_s)
        stats.note_connect_wait(waiter)
        stats.opened += 1
        slot: KeptSlot = holder._pool._queue._poolscope_slots[holder]
        slot.connection_opened(describe(holder._con))

    def first_use(self, pool: Any, timeout: float | None) -> PoolStats | None:
        """Return the statistics of a pool that may be new, and measure its queue if necessary."""
        stats = self.stats_of(pool)
        self.measure_queue(pool, timeout)
        return stats

    def measure_queue(self, pool: Any, timeout: float | None) -> None:
        """Measure from now on how long callers wait; a pool without waiters is not measured.

        Only a caller that may have to wait, or that has a time-out, calls this. The time-out is
        noted.
        """
        try:
            queue = pool._queue
            if queue is None or (timeout is None and queue._queue):
                return  # not initialised, or there is a connection for this caller
            stats = getattr(queue, "_poolscope", None)
            if stats is None:
                return
            stats.note_caller_timeout(timeout)
            if hasattr(queue.get, "__self__"):  # the library's method, so not yet replaced
                queue.get = self.queued(stats, queue.get, queue._queue)
        except Exception as error:  # noqa: BLE001 - inline: runs at each checkout with a time-out
            self.contain(error)

    def not_found(self, holder: Any, error: Exception) -> None:
        """Note that the end of a use could not be counted, unless its pool is not watched."""
        if hasattr(holder._pool._queue, "_poolscope_slots"):
            self.contain(error)

    def queued(
        self,
        stats: PoolStats,
        get: Callable[[], Coroutine[Any, Any, Any]],
        free: Sequence[Any],
    ) -> Callable[[], Coroutine[Any, Any, Any]]:
        """Return the queue's `get` with the blocked time measured; `free` has the idle holders."""
        note_nested, queue_began = self.contained(count_nested), self.contained(self.queue_began)

        async def wait() -> Any:
            began, token = monotonic(), next_checkout_id()
            try:
                queue_began(stats, token, began, sys._getframe())
                note_nested(stats, token)
                return await get()
            finally:
                stats.waiting.pop(token, None)
                stats.note_queue_time(began, monotonic() - began)

        def measured_get() -> Coroutine[Any, Any, Any]:
            return get() if free else wait()

        return measured_get

    def closed(self, holder: Any) -> None:
        """Note that a connection was closed, by any code at any time; its holder continues."""
        slots = getattr(holder._pool._queue, "_poolscope_slots", None)
        if slots is None:
            return  # a pool that is not watched, or was not used since poolscope attached
        slot: KeptSlot = slots[holder]  # the annotation is for the type checker
        if slot.stats.statement_settings is None:
            slot.stats.note_statement_settings(holder._con)
        reason = close_reason(holder)
        if slot.is_open:
            slot.stats.closed[reason] += 1
            if reason is CloseReason.INVALIDATED:
                self.losses.note_loss(slot.stats, holder)
        slot.connection_closed()
