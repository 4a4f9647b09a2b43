"""Account for what happens to asyncpg's connections; nothing here locks, blocks or raises."""

import sys
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Sequence
from types import CodeType, FrameType
from typing import Any
from weakref import ref

from asyncpg.pool import Pool, PoolConnectionHolder  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.pools import (
    AsyncpgPoolReader,
    close_reason,
    identify_pool,
)
from poolscope.adapters.common.calling_frames import frame_running
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.slot_keeper import KeptSlot, PoolAttachments
from poolscope.catalogue import CloseReason, FailureReason, InvalidationReason, Phase
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, find_site
from poolscope.recording.checkout import count_nested, make_record_checkout
from poolscope.recording.connect_errors import classify_connect_error
from poolscope.recording.drivers import describe
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import Waiter, blocked_caller

CONNECTING = "_poolscope_connecting"


class AsyncpgHooks:
    """What happens around a pool; no method takes a lock.

    What runs at each checkout contains its errors itself. Every other method may raise: it is
    wrapped by `contained` where it is registered.

    The statistics of a pool are kept on its queue, and so are its slots by holder: a pool and its
    holders have no `__dict__`. All of them go together, when the collector takes the pool.
    """

    def __init__(self, registry: Registry) -> None:
        self.contain, self.contained = registry.contain, registry.contained
        self._look_at_timeout = registry.contained(look_at_timeout)
        self._collected = registry.contained(self._end_collected)
        self._max_routes = registry.max_routes
        self.attachments = PoolAttachments(registry, self._make, self._adopt)
        self.record_checkout = make_record_checkout()
        self.context_class: type | None = None
        """What `acquire()` shall return, if not the driver's own."""
        self.acquire_codes: set[CodeType] = set()
        """What runs while a caller is blocked; its `self` has the caller."""
        acquire = getattr(PoolConnectionHolder, "acquire", None)
        self._holder_code: CodeType | None = getattr(acquire, "__code__", None)

    def stats_of(self, pool: Any) -> PoolStats | None:
        """Return the statistics of a pool, made now if it is new; None where it is unwatched."""
        queue = pool._queue
        if queue is None:
            return None  # not initialised: the driver is about to raise
        if not hasattr(queue, "_poolscope"):
            return self.attachments.attach_pool_of(queue, pool)
        stats: PoolStats | None = queue._poolscope
        return stats

    def find(self, target: object) -> PoolStats | None:
        """Return the statistics of an initialised pool; None if it is none."""
        return self.stats_of(target) if isinstance(target, Pool) else None

    def _make(self, pool: Any) -> PoolStats:
        reader = AsyncpgPoolReader(ref(pool._holders[0]))
        return PoolStats(identify_pool(pool), reader, is_async=True, max_routes=self._max_routes)

    def _adopt(self, pool: Any, stats: PoolStats) -> None:
        queue = pool._queue
        slots: dict[Any, KeptSlot] = {}
        for holder in pool._holders:
            slot = slots[holder] = KeptSlot(stats, holder, self._collected)
            if holder.is_connected():
                slot.connection_found(describe(holder._con))
        queue._poolscope_slots = slots

    def _end_collected(self, slot: KeptSlot) -> None:
        """Note that a pool was dropped whole, maybe with this connection still out."""
        slot.stats.end(slot, monotonic())

    def detach_all(self) -> None:
        """Take everything away from the pools; what is checked out stays as it is."""
        for queue in self.attachments.anchors:
            take_off(queue, "get", "_poolscope_slots")
        self.attachments.detach_pools()

    def shared(self, connection: Any) -> None:
        """Note that two tasks use one connection of a pool at once."""
        proxy = getattr(connection, "_proxy", None)
        stats = self.stats_of(proxy._holder._pool) if proxy is not None else None
        if stats is not None:
            stats.shared += 1

    def failed(self, stats: PoolStats, error: BaseException) -> None:
        """Count a checkout that ended without a connection; a slow server is no pool time-out."""
        if isinstance(error, CancelledError):
            stats.failures[FailureReason.CANCELLED] += 1
        elif isinstance(error, TimeoutError) and CONNECTING not in error.__dict__:
            stats.failures[FailureReason.TIMEOUT] += 1
            self._look_at_timeout(stats, monotonic())
        else:
            stats.failures[FailureReason.ERROR] += 1

    def connect_failed(self, stats: PoolStats, error: Exception) -> None:
        """Count a connection that could not be opened."""
        stats.connect_errors[classify_connect_error(error)] += 1
        error.__dict__[CONNECTING] = True

    def connect_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that waits for a new connection; `frame` is what opens it.

        The pool opens connections for nobody too, when it is made and to keep its minimum.
        """
        if frame.f_code is self._holder_code:
            stats.waiting[token] = self._waiter(Phase.CONNECT, began_s, frame)

    def queue_began(self, stats: PoolStats, token: int, began_s: float, frame: FrameType) -> None:
        """Note a caller that waits for a place in the pool; `frame` is what waits."""
        stats.waiting[token] = self._waiter(Phase.QUEUE, began_s, frame)

    def _waiter(self, phase: Phase, began_s: float, frame: FrameType) -> Waiter:
        acquiring = frame_running(self.acquire_codes, frame)
        context = None if acquiring is None else acquiring.f_locals["self"]
        if context is None or context.site is None or context.site is UNKNOWN_SITE:
            return blocked_caller(phase, began_s, find_site(frame), running_owner())
        return blocked_caller(phase, began_s, context.site, context.owner)

    def opened(self, stats: PoolStats, holder: Any, create_s: float) -> None:
        """Note a connection that was opened, and how long that took."""
        stats.create.count_value(create_s)
        stats.opened += 1
        slot: KeptSlot = holder._pool._queue._poolscope_slots[holder]
        slot.connection_opened(describe(holder._con))

    def first_use(self, pool: Any, timeout: float | None) -> PoolStats | None:
        """Return the statistics of a pool that may be new, and measure its queue if it matters."""
        stats = self.stats_of(pool)
        self.measure_queue(pool, timeout)
        return stats

    def measure_queue(self, pool: Any, timeout: float | None) -> None:
        """Measure from now on how long callers wait: a pool that nobody waits for is spared it."""
        try:
            queue = pool._queue
            if queue is None or (timeout is None and queue._queue):
                return  # not initialised, or there is one for who asks now
            stats = getattr(queue, "_poolscope", None)
            if stats is not None and hasattr(queue.get, "__self__"):  # a method, so not yet ours
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
        """Return the queue's `get` with the blocked time measured; `free` is what waits in it."""
        note_nested, queue_began = self.contained(count_nested), self.contained(self.queue_began)

        async def wait() -> Any:
            began, token = monotonic(), next_checkout_id()
            try:
                queue_began(stats, token, began, sys._getframe())
                note_nested(stats)
                return await get()
            finally:
                stats.waiting.pop(token, None)
                stats.queue.count_value(monotonic() - began)

        def measured_get() -> Coroutine[Any, Any, Any]:
            return get() if free else wait()

        return measured_get

    def closed(self, holder: Any) -> None:
        """Note that a connection was closed, by whom and when ever; its holder lives on."""
        slots = getattr(holder._pool._queue, "_poolscope_slots", None)
        if slots is None:
            return  # a pool that is not watched, or has not been used since
        slot: KeptSlot = slots[holder]  # so that the type checker knows the methods
        reason = close_reason(holder)
        if slot.is_open:
            slot.stats.closed[reason] += 1
            if reason is CloseReason.INVALIDATED:
                slot.stats.invalidated[InvalidationReason.ERROR] += 1
        slot.connection_closed()
