"""Record what happens to SQLAlchemy's connections; nothing here locks, blocks or raises."""

import sys
import weakref
from asyncio import CancelledError
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import ref

import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.util.queue import AsyncAdaptedQueue, Empty

from poolscope.adapters.common.nested_pools import mark_long_lived, slot_below
from poolscope.adapters.common.patching import take_off
from poolscope.adapters.common.weak_keys import living_keys
from poolscope.adapters.sqlalchemy import pools
from poolscope.adapters.sqlalchemy.caller_frames import make_find_frames
from poolscope.catalogue import CloseReason, FailureReason, Phase, SessionErrorKind, SharedReason
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site
from poolscope.recording.checkout import count_nested
from poolscope.recording.driver_errors.connect_errors import classify_connect_error
from poolscope.recording.drivers import bound_loop, describe
from poolscope.recording.pool import PoolStats, Slot, next_checkout_id
from poolscope.recording.registry import Registry
from poolscope.recording.session_errors import SessionErrors
from poolscope.recording.session_use import count_shared
from poolscope.recording.tasks import is_of_another_loop, running_owner
from poolscope.recording.timeouts import look_at_timeout
from poolscope.recording.waiters import blocked_caller, make_pinging_caller


class SqlalchemyHooks:
    """The hooks of SQLAlchemy's pools; no method takes a lock.

    Methods that run at each checkout or return contain their errors. Every other method may
    raise: it is wrapped by `contained` where it is registered.
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
        self._sites: weakref.WeakKeyDictionary[Any, Site] = weakref.WeakKeyDictionary()
        self._known: weakref.WeakKeyDictionary[Any, PoolStats | None] = weakref.WeakKeyDictionary()

    def find(self, target: Any) -> PoolStats | None:
        """Return the statistics of an engine's pool, or of a pool; None if it is neither.

        This does not attach to the pool. The first checkout does, and it also starts poolscope's
        threads, which a forked child needs even if it opens no connection.
        """
        engine = getattr(target, "sync_engine", target)
        pool = engine.pool if isinstance(engine, sqlalchemy.Engine) else engine
        if not isinstance(pool, sqlalchemy.Pool):
            return None
        self.on_class(type(pool))
        return self._stats_of(pool)

    def attach_engine(self, engine: sqlalchemy.Engine) -> None:
        """Store an engine, which has the address for its pool's name, and attach to the pool."""
        self._engines[engine.dialect] = ref(engine)
        self._attach(engine.pool)

    def engine_made(self, engine: sqlalchemy.Engine, frame: FrameType) -> None:
        """Attach to a new engine, and note the line that made it, outwards from `frame`."""
        site = self._sites[engine.dialect] = find_site(frame)
        self.attach_engine(engine)
        identity = pools.identify(engine.pool, engine)
        self._registry.note_created_pool(engine.dialect, identity, site)

    def engine_disposed(self, engine: sqlalchemy.Engine) -> None:
        """Let the next pool take the row: an engine that is made for each job ends in this way.

        The row stays with the engine if the engine is used again first.
        """
        stats = self._known.get(engine.dialect)
        if stats is not None:
            self._registry.release_row(engine.dialect, stats)

    def attach_pool(self, pool: Any) -> PoolStats | None:
        """Attach to a pool at its first use in this process; None if it cannot be watched."""
        stats = self._attach(pool)
        self._registry.on_activity()
        return stats

    def _attach(self, pool: Any) -> PoolStats | None:
        self.on_class(type(pool))
        stats = self._stats_of(pool)
        pool._poolscope = stats
        # setdefault is atomic: if two threads come here at once, only one wraps.
        mine = object()
        if stats is not None and self._attached.setdefault(pool, mine) is mine:
            self._wrap(pool, stats)
        return stats

    def _stats_of(self, pool: Any) -> PoolStats | None:
        """Find or make the statistics of a pool.

        Each `dispose()` makes a new pool with the engine's dialect. All of these pools count as
        one pool.
        """
        find_engine = self._engines.get(pool._dialect)
        owner = pool if find_engine is None else pool._dialect
        known = self._known.get(owner)
        if owner in self._known and (known is None or self._registry.keeps_row(owner, known)):
            return known
        made = PoolStats(
            pools.identify(pool, find_engine() if find_engine is not None else None),
            pools.SqlalchemyPoolReader(ref(pool) if find_engine is None else _pool_of(find_engine)),
            library=pools.LIBRARY,
            is_async=pool._dialect.is_async,
            pre_ping=pool._pre_ping,
            max_routes=self._registry.max_routes,
        )
        watched = self._registry.watch(owner, made, self._sites.get(owner, UNKNOWN_SITE))
        if known is not None and self._known.get(owner) is known:
            self._known.pop(owner, None)  # another pool has the row now
        # setdefault is atomic: if two threads come here at once, only one attaches.
        stats = self._known.setdefault(owner, watched)
        if stats is not watched:
            self._registry.drop_twin(watched)
        return stats

    def _wrap(self, pool: Any, stats: PoolStats) -> None:
        """Wrap private attributes of the instance; if one is missing, only its data is missing."""
        for step in (self._wrap_creator, self._wrap_queue, self._wrap_ping, self._adopt_idle):
            self.contained(step)(pool, stats)

    def _wrap_creator(self, pool: Any, stats: PoolStats) -> None:
        pool._invoke_creator = self.created(stats, pool._invoke_creator)

    def _wrap_queue(self, pool: Any, stats: PoolStats) -> None:
        queue = pools.queue_of(pool)
        if queue is not None:
            queue.get = self.queued(stats, queue)

    def _wrap_ping(self, pool: Any, stats: PoolStats) -> None:
        """Wrap the liveness check of an engine's pools, which is a method of their dialect.

        A pool without an engine may share its dialect with pools that are counted separately.
        """
        dialect = pool._dialect
        ping: Any = getattr(dialect, "do_ping", None)
        is_method = getattr(ping, "__self__", None) is dialect  # so it is not replaced yet
        if stats.pre_ping and is_method and dialect in self._engines:
            dialect.do_ping = self.tested(stats, ping)

    def _adopt_idle(self, pool: Any, stats: PoolStats) -> None:
        for record in pools.idle_records(pool):
            self.new_slot(stats, record)

    def detach_all(self) -> None:
        """Remove everything from the pools; open checkouts stay as they are."""
        for pool in living_keys(self._attached):
            take_off(pool, "_poolscope")
            pool._creator = pool._creator  # its setter makes a new _invoke_creator
            queue = pools.queue_of(pool)
            if queue is not None:
                take_off(queue, "get")
            if hasattr(getattr(pool._dialect, "do_ping", None), "_poolscope"):
                take_off(pool._dialect, "do_ping")
        for owner in living_keys(self._known):
            stats = self._known.get(owner)
            for reference in list(stats.slots) if stats is not None else ():
                take_off(reference(), "_poolscope")
        self._attached.clear()

    def forget_attachments(self) -> None:
        """Attach again at the next checkout: in a forked child, that starts the child's pusher."""
        for pool in living_keys(self._attached):
            take_off(pool, "_poolscope")

    def new_slot(self, stats: PoolStats, record: Any) -> Slot:
        """Make the slot of a connection record; it is dropped when the record is collected."""
        slot = record._poolscope = Slot(stats)
        slots = stats.slots
        slots[ref(record, lambda reference: slots.pop(reference, None))] = slot
        if record.dbapi_connection is not None:
            slot.facts = describe(record.driver_connection)
            slot.loop = bound_loop(record.driver_connection)
        return slot

    def slot_of(self, record: Any) -> Slot | None:
        """Return the slot of a connection record, made now if new; None if it is not watched."""
        slot: Slot | None = getattr(record, "_poolscope", None)
        if slot is not None:
            return slot
        pool = pools.pool_of(record)
        stats = getattr(pool, "_poolscope", None) or self.attach_pool(pool)
        return self.new_slot(stats, record) if stats is not None else None

    def is_noted(self, slot: Slot, record: Any) -> bool:
        """Return whether exactly this checkout was noted before."""
        return slot.out is not None and slot.out[6] is record.fairy_ref

    def failed(self, stats: PoolStats, error: BaseException, began_s: float) -> None:
        """Count once that a checkout got no connection, even if several wrappers report it."""
        # A number, not the statistics themselves: applications pickle their exceptions.
        if error.__dict__.get("_poolscope") == id(stats):
            return
        error.__dict__["_poolscope"] = id(stats)
        if isinstance(error, exc.TimeoutError):
            stats.note_failed(FailureReason.TIMEOUT, began_s)
            self._look_at_timeout(stats, monotonic())
        elif isinstance(error, CancelledError):
            stats.note_failed(FailureReason.CANCELLED, began_s)
        else:
            stats.note_failed(FailureReason.ERROR, began_s)
            # Pre-ping fails on a connection of another loop, so it is not lent.
            stats.foreign_loop += stats.is_async and is_of_another_loop(error)

    def waited(self, stats: PoolStats, slot: Slot, began_s: float, got_s: float) -> None:
        """Note a wait that was slow, or that may have included a liveness check.

        The time of the check is the wait minus the time in the queue.
        """
        waited_s = got_s - began_s
        if stats.pre_ping:
            if not slot.fresh:
                stats.ping.count_value(max(0.0, waited_s - slot.queued_s))
            slot.fresh, slot.queued_s = False, 0.0
        if waited_s >= stats.slow.slow_s:
            stats.slow.note_wait(began_s, got_s)

    def queued(self, stats: PoolStats, queue: Any) -> Callable[..., Any]:
        """Return the queue's `get` with only the blocked time measured."""
        get = queue.get
        if type(queue) is AsyncAdaptedQueue:
            return self._queued_later(stats, get, queue.get_nowait)

        def measured_get(block: bool = True, timeout: float | None = None) -> Any:
            if not block:
                return get(False)
            try:
                return get(False)  # an idle connection, so there is no wait
            except Empty:
                pass
            return self._wait(stats, get, timeout)

        return measured_get

    def _queued_later(
        self, stats: PoolStats, get: Callable[..., Any], get_nowait: Callable[[], Any]
    ) -> Callable[..., Any]:
        """Return an asynchronous queue's `get` with no more calls than the original."""

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
            self._count_nested(stats, token)
            record = get(True, timeout)
        finally:
            stats.waiting.pop(token, None)
            waited_s = monotonic() - began
            stats.note_queue_time(began, waited_s)
        slot = getattr(record, "_poolscope", None)
        if slot is not None:
            slot.queued_s = waited_s
        return record

    def _note_waiter(self, stats: PoolStats, token: int, phase: Phase, began_s: float) -> None:
        """Note a caller that will block now; the end of its wait removes `token`."""
        # An asynchronous engine's pool runs in a greenlet, which hides the application's frames.
        frames = self._find_frames() if stats.is_async else (sys._getframe(1), None)
        stats.waiting[token] = blocked_caller(phase, began_s, find_site(*frames), running_owner())

    def created(self, stats: PoolStats, create: Callable[..., Any]) -> Callable[..., Any]:
        """Return the pool's creator with opening a connection measured, and failures classified."""
        connect_failed, wait_began = self.contained(self.connect_failed), self._wait_began
        note_connect_wait = self.contained(stats.note_connect_wait)
        note_ended = self.contained(stats.note_connect_ended)

        def measured_create(record: Any) -> Any:
            began, token = monotonic(), next_checkout_id()
            try:
                wait_began(stats, token, Phase.CONNECT, began)
                connection = create(record)
            except Exception as error:
                connect_failed(stats, error)
                raise
            finally:
                waiter = stats.waiting.pop(token, None)
                note_ended(waiter)
            stats.create.count_value(monotonic() - began)
            note_connect_wait(waiter)
            return connection

        return measured_create

    def tested(self, stats: PoolStats, ping: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Return a dialect's liveness check that counts its caller until the server answers."""
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
        """Count a connection that could not be opened; it may be impossible to print its error."""
        stats.connect_errors[classify_connect_error(error)] += 1

    def on_connect(self, _dbapi_connection: Any, record: Any) -> None:
        """Note a new connection."""
        slot = self.slot_of(record)
        if slot is not None and not self._leaves_to_pool_below(slot.stats, record):
            slot.begin_session(describe(record.driver_connection))
            slot.loop = bound_loop(record.driver_connection)
            slot.stats.opened += 1
        self._registry.on_activity()

    def _leaves_to_pool_below(self, stats: PoolStats, record: Any) -> bool:
        """Return whether this pool only passes on another pool's connections; then unwatch it."""
        below = slot_below(record.driver_connection)
        if below is None:
            return False
        pool: Any = pools.pool_of(record)
        if not pools.passes_on(pool):
            mark_long_lived(below)
            return False
        for owner in living_keys(self._known):
            if self._known.get(owner) is stats:
                self._known[owner] = None
        self._registry.unwatch(stats)
        pool._poolscope = None
        pool._creator = pool._creator  # its setter makes a new _invoke_creator without a wrapper
        return True

    def on_checkin(self, _dbapi_connection: Any, record: Any) -> None:
        """Note that a connection was returned, or collected: a synchronous leak ends by that."""
        try:
            slot = self.slot_of(record)
            if slot is not None and slot.out is not None:
                slot.stats.end(slot, monotonic())
        except Exception as error:  # noqa: BLE001 - inline: a listener of every return
            self.contain(error)

    def on_detach(self, _dbapi_connection: Any, record: Any) -> None:
        """Note that a connection left: by `detach()`, or collected (an asynchronous leak)."""
        # First, because it contains its errors: an error below must not keep the checkout open.
        self.on_checkin(_dbapi_connection, record)
        slot = self.slot_of(record)
        if slot is not None:
            slot.stats.closed[CloseReason.DETACHED] += 1
            slot.forget_session()

    def on_invalidate(
        self, _dbapi_connection: Any, record: Any, exception: BaseException | None
    ) -> None:
        """Note that a connection was found broken, or was declared broken."""
        self.on_checkin(_dbapi_connection, record)  # first, as above
        slot = self.slot_of(record)
        if slot is not None:
            slot.invalidated = True
            slot.stats.invalidated[pools.invalidation_reason(exception, record)] += 1

    def on_close(self, dbapi_connection: Any, record: Any) -> None:
        """Note that the pool closes a connection."""
        slot = self.slot_of(record)
        if slot is not None:
            if slot.stats.statement_settings is None:
                slot.stats.note_statement_settings(dbapi_connection)
            slot.stats.closed[pools.close_reason(record)] += 1
            slot.forget_session()

    def note_shared(self, slot: Slot, taken_at: Site, reason: SharedReason) -> None:
        """Count a use of a connection that another caller uses too, with both lines."""
        count_shared(slot.stats.shared, reason, taken_at, self._user_site())

    def note_shared_error(self, stats: PoolStats, taken_at: Site) -> None:
        """Count an error which shows that a session is used twice at once."""
        count_shared(stats.shared, SharedReason.ERROR, taken_at, self._user_site())

    def begin_session_errors(self) -> None:
        """Count the errors of ORM sessions from now on; without SQLAlchemy none are counted."""
        self._registry.session_errors = SessionErrors()

    def note_session_error(self, kind: SessionErrorKind, stats: PoolStats | None) -> None:
        """Count an ORM error at the application's line; without a known pool, use the only pool."""
        errors = self._registry.session_errors
        if errors is not None:
            errors.count_error(kind, self._user_site(), stats or self._only_stats())

    def _only_stats(self) -> PoolStats | None:
        """Return the statistics of the only living pool; None if there are several."""
        known = {self._known.get(owner) for owner in living_keys(self._known)}
        return known.pop() if len(known) == 1 else None

    def _user_site(self) -> Site:
        return find_site(*self._find_frames())


def _pool_of(find_engine: Callable[[], Any]) -> Callable[[], Any]:
    def find() -> Any:
        engine = find_engine()
        return engine.pool if engine is not None else None

    return find


def _nothing(_: type) -> None:
    """Do nothing, as `on_class` if `connect` is not wrapped."""
