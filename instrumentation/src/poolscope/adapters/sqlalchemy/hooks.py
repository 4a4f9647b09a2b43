"""Account for what happens to SQLAlchemy's connections; nothing here locks, blocks or raises."""

import sys
import weakref
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any
from weakref import ref

import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty

from poolscope.adapters.common.nested_pools import mark_long_lived, slot_below
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.sqlalchemy import pools
from poolscope.adapters.sqlalchemy.caller_frames import make_find_frames
from poolscope.catalogue import CloseReason, FailureReason, Phase
from poolscope.clock import monotonic
from poolscope.recording.callsite import find_site
from poolscope.recording.checkout import count_nested
from poolscope.recording.connect_errors import classify_connect_error
from poolscope.recording.drivers import describe
from poolscope.recording.pool import PoolStats, Slot, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import blocked_caller, make_pinging_caller


class SqlalchemyHooks:
    """What happens around a pool; no method takes a lock.

    What runs at each checkout or return contains its errors itself. Every other method may raise:
    it is wrapped by `contained` where it is registered.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.contain, self.contained = registry.contain, registry.contained
        self._count_nested = registry.contained(count_nested)
        self._look_at_timeout = registry.contained(look_at_timeout)
        self._wait_began = registry.contained(self._note_waiter)
        self._find_frames = make_find_frames()
        self.on_class: Callable[[type], None] = _nothing
        self._attached: weakref.WeakKeyDictionary[Any, object] = weakref.WeakKeyDictionary()
        self._engines: weakref.WeakKeyDictionary[Any, Callable[[], Any]] = (
            weakref.WeakKeyDictionary()
        )
        self._known: weakref.WeakKeyDictionary[Any, PoolStats | None] = weakref.WeakKeyDictionary()

    def find(self, target: Any) -> PoolStats | None:
        """Return the statistics of an engine's pool, or of a pool; None if it is neither."""
        engine = getattr(target, "sync_engine", target)
        pool = engine.pool if isinstance(engine, sqlalchemy.Engine) else engine
        return self._attach(pool) if isinstance(pool, sqlalchemy.Pool) else None

    def attach_engine(self, engine: sqlalchemy.Engine) -> None:
        """Remember an engine's address, for its pool's name, and attach to the pool."""
        self._engines[engine.dialect] = ref(engine)
        self._attach(engine.pool)

    def attach_pool(self, pool: Any) -> PoolStats | None:
        """Attach to a pool at its first use in this process; None where it cannot be watched."""
        stats = self._attach(pool)
        self._registry.on_activity()
        return stats

    def _attach(self, pool: Any) -> PoolStats | None:
        self.on_class(type(pool))
        stats = self._stats_of(pool)
        pool._poolscope = stats
        # setdefault is atomic: of two threads that come here at once, one wraps.
        mine = object()
        if stats is not None and self._attached.setdefault(pool, mine) is mine:
            self._wrap(pool, stats)
        return stats

    def _stats_of(self, pool: Any) -> PoolStats | None:
        """Find or make the statistics of a pool.

        The pools that `dispose()` makes one after another share the engine's dialect, and are one
        pool to the outside.
        """
        find_engine = self._engines.get(pool._dialect)
        owner = pool if find_engine is None else pool._dialect
        if owner in self._known:
            return self._known[owner]
        made = PoolStats(
            pools.identify(pool, find_engine() if find_engine is not None else None),
            pools.SqlalchemyPoolReader(ref(pool) if find_engine is None else _pool_of(find_engine)),
            is_async=pool._dialect.is_async,
            pre_ping=pool._pre_ping,
            max_routes=self._registry.max_routes,
        )
        stats = self._known.setdefault(owner, made)
        if stats is made and not self._registry.watch(owner, made):
            stats = self._known[owner] = None
        return stats

    def _wrap(self, pool: Any, stats: PoolStats) -> None:
        """Wrap what is private to the instance: what is missing costs its own signal only."""
        for step in (self._wrap_creator, self._wrap_queue, self._wrap_ping, self._adopt_idle):
            self.contained(step)(pool, stats)

    def _wrap_creator(self, pool: Any, stats: PoolStats) -> None:
        pool._invoke_creator = self.created(stats, pool._invoke_creator)

    def _wrap_queue(self, pool: Any, stats: PoolStats) -> None:
        queue = pools.queue_of(pool)
        if queue is not None:
            queue.get = self.queued(stats, queue)

    def _wrap_ping(self, pool: Any, stats: PoolStats) -> None:
        """Wrap the liveness check of an engine's pools; they share the dialect that makes it.

        A pool without an engine may share its dialect with pools that are counted apart.
        """
        dialect = pool._dialect
        ping: Any = getattr(dialect, "do_ping", None)
        is_method = getattr(ping, "__self__", None) is dialect  # so not yet ours
        if stats.pre_ping and is_method and dialect in self._engines:
            dialect.do_ping = self.tested(stats, ping)

    def _adopt_idle(self, pool: Any, stats: PoolStats) -> None:
        for record in pools.idle_records(pool):
            self.new_slot(stats, record)

    def detach_all(self) -> None:
        """Take everything away from the pools; what is checked out stays as it is."""
        for pool in list(self._attached):
            take_off(pool, "_poolscope")
            pool._creator = pool._creator  # its setter makes _invoke_creator anew
            queue = pools.queue_of(pool)
            if queue is not None:
                take_off(queue, "get")
            if hasattr(getattr(pool._dialect, "do_ping", None), "_poolscope"):
                take_off(pool._dialect, "do_ping")
        for stats in list(self._known.values()):
            for reference in list(stats.slots) if stats is not None else ():
                take_off(reference(), "_poolscope")
        self._attached.clear()

    def forget_attachments(self) -> None:
        """Attach anew at the next checkout: in a forked child, that starts its own pusher."""
        for pool in list(self._attached):
            take_off(pool, "_poolscope")

    def new_slot(self, stats: PoolStats, record: Any) -> Slot:
        """Begin to account for a connection record; it goes when the record does."""
        slot = record._poolscope = Slot(stats)
        slots = stats.slots
        slots[ref(record, lambda reference: slots.pop(reference, None))] = slot
        if record.dbapi_connection is not None:
            slot.facts = describe(record.driver_connection)
        return slot

    def slot_of(self, record: Any) -> Slot | None:
        """Return the slot of a connection record, made now if it is new; None if unwatched."""
        slot: Slot | None = getattr(record, "_poolscope", None)
        if slot is not None:
            return slot
        pool = pools.pool_of(record)
        stats = getattr(pool, "_poolscope", None) or self.attach_pool(pool)
        return self.new_slot(stats, record) if stats is not None else None

    def is_noted(self, slot: Slot, record: Any) -> bool:
        """Return whether this very checkout was noted before."""
        return slot.out is not None and slot.out[6] is record.fairy_ref

    def failed(self, stats: PoolStats, error: BaseException) -> None:
        """Count a checkout that ended without a connection; once, however many wrappers see it."""
        # A number, not the statistics themselves: applications pickle their exceptions.
        if error.__dict__.get("_poolscope") == id(stats):
            return
        error.__dict__["_poolscope"] = id(stats)
        if isinstance(error, exc.TimeoutError):
            stats.failures[FailureReason.TIMEOUT] += 1
            self._look_at_timeout(stats, monotonic())
        elif isinstance(error, CancelledError):
            stats.failures[FailureReason.CANCELLED] += 1
        else:
            stats.failures[FailureReason.ERROR] += 1

    def pinged(self, stats: PoolStats, slot: Slot, waited_s: float) -> None:
        """Count the time of the liveness check: what was neither queueing nor connecting."""
        if not slot.fresh:
            stats.ping.count_value(max(0.0, waited_s - slot.queued_s))
        slot.fresh, slot.queued_s = False, 0.0

    def queued(self, stats: PoolStats, queue: Any) -> Callable[..., Any]:
        """Return the queue's `get` with the blocked time measured, and only that."""
        get = queue.get
        if type(queue) is AsyncAdaptedQueue:
            return self._queued_later(stats, get, queue.get_nowait)

        def measured_get(block: bool = True, timeout: float | None = None) -> Any:
            if not block:
                return get(False)
            try:
                return get(False)  # an idle connection: nobody waits
            except Empty:
                pass
            return self._wait(stats, get, timeout)

        return measured_get

    def _queued_later(
        self, stats: PoolStats, get: Callable[..., Any], get_nowait: Callable[[], Any]
    ) -> Callable[..., Any]:
        """Return an asynchronous queue's `get` like that: in as many calls as its own takes."""

        def measured_get(block: bool = True, timeout: float | None = None) -> Any:
            try:
                return get_nowait()
            except Empty:
                if not block:
                    raise
            return self._wait(stats, get, timeout)

        return measured_get

    def _wait(self, stats: PoolStats, get: Callable[..., Any], timeout: float | None) -> Any:
        began, token = monotonic(), next_checkout_id()
        try:
            self._wait_began(stats, token, Phase.QUEUE, began)
            self._count_nested(stats)
            record = get(True, timeout)
        finally:
            stats.waiting.pop(token, None)
            waited_s = monotonic() - began
            stats.queue.count_value(waited_s)
        slot = getattr(record, "_poolscope", None)
        if slot is not None:
            slot.queued_s = waited_s
        return record

    def _note_waiter(self, stats: PoolStats, token: int, phase: Phase, began_s: float) -> None:
        """Note the caller that is about to block; the end of its wait takes `token` away."""
        # An asynchronous engine's pool runs in a greenlet, which hides the application's frames.
        frames = self._find_frames() if stats.is_async else (sys._getframe(1), None)
        stats.waiting[token] = blocked_caller(phase, began_s, find_site(*frames), running_owner())

    def created(self, stats: PoolStats, create: Callable[..., Any]) -> Callable[..., Any]:
        """Return the pool's creator with opening a connection measured, and failures classified."""
        connect_failed, wait_began = self.contained(self.connect_failed), self._wait_began

        def measured_create(record: Any) -> Any:
            began, token = monotonic(), next_checkout_id()
            try:
                wait_began(stats, token, Phase.CONNECT, began)
                connection = create(record)
            except Exception as error:
                connect_failed(stats, error)
                raise
            finally:
                stats.waiting.pop(token, None)
            stats.create.count_value(monotonic() - began)
            return connection

        return measured_create

    def tested(self, stats: PoolStats, ping: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Return a dialect's liveness check with its caller counted until the answer is there."""
        now, next_token, contain = monotonic, next_checkout_id, self.contain
        pinging_caller = make_pinging_caller()

        def measured_ping(connection: Any) -> bool:
            token = next_token()
            try:
                try:
                    stats.waiting[token] = pinging_caller(now())
                except Exception as error:  # noqa: BLE001 - inline: runs at each tested checkout
                    contain(error)
                return ping(connection)
            finally:
                stats.waiting.pop(token, None)

        measured_ping._poolscope = True  # type: ignore[attr-defined]
        return measured_ping

    def connect_failed(self, stats: PoolStats, error: Exception) -> None:
        """Count a connection that could not be opened; its error may not even print itself."""
        stats.connect_errors[classify_connect_error(error)] += 1

    def on_connect(self, _dbapi_connection: Any, record: Any) -> None:
        """Note a connection that was opened."""
        slot = self.slot_of(record)
        if slot is not None and not self._leaves_to_pool_below(slot.stats, record):
            slot.begin_session(describe(record.driver_connection))
            slot.stats.opened += 1
        self._registry.on_activity()

    def _leaves_to_pool_below(self, stats: PoolStats, record: Any) -> bool:
        """Return whether this pool only passes on what another one lends; stop counting it then."""
        below = slot_below(record.driver_connection)
        if below is None:
            return False
        pool: Any = pools.pool_of(record)
        if not pools.passes_on(pool):
            mark_long_lived(below)
            return False
        for owner in [owner for owner, known in self._known.items() if known is stats]:
            self._known[owner] = None
        self._registry.unwatch(stats)
        pool._poolscope = None
        pool._creator = pool._creator  # its setter makes _invoke_creator anew, without us
        return True

    def on_checkin(self, _dbapi_connection: Any, record: Any) -> None:
        """Note that a connection came back, or was collected: a synchronous leak heals so."""
        try:
            slot = self.slot_of(record)
            if slot is not None and slot.out is not None:
                slot.stats.end(slot, monotonic())
        except Exception as error:  # noqa: BLE001 - inline: a listener of every return
            self.contain(error)

    def on_detach(self, _dbapi_connection: Any, record: Any) -> None:
        """Note that a connection left: by `detach()`, or collected (an asynchronous leak)."""
        # First, because it contains its errors: what fails below must not keep the checkout open.
        self.on_checkin(_dbapi_connection, record)
        slot = self.slot_of(record)
        if slot is not None:
            slot.stats.closed[CloseReason.DETACHED] += 1
            slot.forget_session()

    def on_invalidate(
        self, _dbapi_connection: Any, record: Any, exception: BaseException | None
    ) -> None:
        """Note that a connection was found to be broken, or was declared so."""
        self.on_checkin(_dbapi_connection, record)  # first, as above
        slot = self.slot_of(record)
        if slot is not None:
            slot.invalidated = True
            slot.stats.invalidated[pools.invalidation_reason(exception)] += 1

    def on_close(self, _dbapi_connection: Any, record: Any) -> None:
        """Note that the pool closed a connection."""
        slot = self.slot_of(record)
        if slot is not None:
            slot.stats.closed[pools.close_reason(record)] += 1
            slot.forget_session()

    def on_session_error(self, transaction: Any, state: Any) -> None:
        """Note an error that reveals that two tasks use one session at once."""
        if getattr(state, "name", "") == "PROVISIONING_CONNECTION":
            bind = transaction.session.get_bind()
            stats = getattr(bind.engine.pool, "_poolscope", None)
            if stats is not None:
                stats.shared += 1


def _pool_of(find_engine: Callable[[], Any]) -> Callable[[], Any]:
    def find() -> Any:
        engine = find_engine()
        return engine.pool if engine is not None else None

    return find


def _nothing(_: type) -> None:
    """Do nothing: what is called where `connect` is not wrapped."""
