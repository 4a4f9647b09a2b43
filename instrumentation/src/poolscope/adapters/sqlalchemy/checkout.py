"""Measure a checkout of SQLAlchemy, around `Pool.connect`."""

import sys
from collections.abc import Callable
from typing import Any
from weakref import ref

import sqlalchemy.pool.base

from poolscope.adapters.common.nested_pools import slot_below, tie_to_upper_holder
from poolscope.adapters.common.patching import uses_only
from poolscope.adapters.sqlalchemy.caller_frames import (
    ENGINE_CONNECT,
    FRAMES_TO_CONNECT,
    RAW_CONNECTION,
    make_find_frames,
)
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.clock import monotonic
from poolscope.recording.callsite import find_site, known_sites
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.pool import NOTED_LIMIT, next_checkout_id
from poolscope.recording.requests import CURRENT
from poolscope.recording.tasks import running_loop, task_of, this_thread
from poolscope.recording.tracing import current_context

Connect = Callable[[Any], Any]

_base: Any = sqlalchemy.pool.base


def measured_connect(  # noqa: C901, PLR0915 - the hot path: splitting it would cost calls
    original: Connect, hooks: SqlalchemyHooks, *, is_base: bool = True
) -> Connect:
    """Return `Pool.connect`, or that of a subclass, with the checkout measured around it.

    The method of a subclass may call its parent's, which has then noted the checkout already. An
    error after `original` has returned must not lose the connection: the pool would lose a place
    until it ends.
    """
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    attach_pool = hooks.contained(hooks.attach_pool)
    loop_of, find_task, thread, next_id, site_of, request_of, context_of, weak = (
        running_loop, task_of, this_thread, next_checkout_id, find_site, CURRENT.get,
        current_context, ref,
    )  # fmt: skip
    find_frames, known_site, limit = make_find_frames(), known_sites.get, NOTED_LIMIT
    raw_connection, engine_connect, frames_to_connect = (
        RAW_CONNECTION,
        ENGINE_CONNECT,
        FRAMES_TO_CONNECT,
    )
    is_known = uses_only(original, ("_ConnectionFairy", "_checkout"))

    def connect(self: Any) -> Any:  # noqa: C901, PLR0912 - the hot path, as above
        try:
            stats = self._poolscope
        except AttributeError:
            stats = attach_pool(self)
        if stats is None:
            return _pass_through(original(self), contain)
        began = now()
        try:
            # Inline the work of a known method, to save its frame.
            fairy = _base._ConnectionFairy._checkout(self) if is_known else original(self)
        except BaseException as error:
            hooks.failed(stats, error, began)
            raise
        try:
            got, record = now(), fairy._connection_record
            try:
                slot = record._poolscope
            except AttributeError:
                slot = hooks.new_slot(stats, record)
            if slot.out is not None:
                # The parent's wrapper noted it, or a SingletonThreadPool's thread has it already.
                if not is_base and hooks.is_noted(slot, record):
                    return fairy
                # A StaticPool lends its one connection while it is out: this is another checkout.
                stats.end(slot, got)
            loop = loop_of()
            if stats.is_async:
                frame, outer = find_frames()
                if slot.loop is not loop and slot.loop is not None:
                    stats.foreign_loop += 1
            else:
                outer = None
                try:
                    frame = caller = get_frame(1)
                    if caller.f_code is raw_connection:
                        outer_caller = get_frame(frames_to_connect)
                        if outer_caller.f_code is engine_connect:
                            frame = outer_caller.f_back or caller
                except ValueError:  # the stack of a greenlet may be short
                    frame = get_frame().f_back or get_frame()
                if loop is not None:
                    stats.blocking += 1
            # Inlined `record_checkout`: one more call costs more than its work.
            task = find_task(loop) if loop is not None else None
            slot.out = (
                next_id(),
                got,
                known_site(id(frame.f_code) + frame.f_lasti) or site_of(frame, outer),
                request_of(),
                thread.owner if task is None else weak(task),
                context_of(),
                record.fairy_ref,
            )
            waits, waited_s = stats.waits, got - began
            waits.append(waited_s)
            if len(waits) > limit:
                stats.count()
            if waited_s >= stats.noticed_wait_s:
                hooks.waited(stats, slot, began, got)
        except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
            contain(error)
        return fairy

    return connect


def measured_return(
    original: Callable[[Any, Any], None], hooks: SqlalchemyHooks
) -> Callable[[Any, Any], None]:
    """Return `Pool._return_conn` that notes the end of a checkout first.

    The garbage collector runs it too: it returns a synchronous connection that was never closed.
    """
    now, contain = monotonic, hooks.contain
    # A connection that was taken before poolscope attached is recorded from its return on.
    adopt = hooks.contained(hooks.slot_of)
    is_known = uses_only(original, ("_do_return_conn",))

    def _return_conn(self: Any, record: Any) -> None:
        try:
            slot = record._poolscope
        except AttributeError:
            adopt(record)
        else:
            try:
                out = slot.out
                if out is not None:
                    # Inlined `end`: one more call costs more than its work.
                    slot.out, stats = None, slot.stats
                    checkout_id, taken_s, _, request, _, context, alive = out
                    stats.uses.append((now(), taken_s, request, checkout_id, context))
                    if alive() is None:
                        stats.note_collected(out)
            except Exception as error:  # noqa: BLE001 - inline: runs at each return
                contain(error)
        if is_known:
            self._do_return_conn(record)
        else:
            original(self, record)

    return _return_conn


def _pass_through(fairy: Any, contain: Callable[[Exception], None]) -> Any:
    """Return a connection of a pool that is not counted, maybe because the pool below counts it."""
    try:
        record = fairy._connection_record
        below = slot_below(record.driver_connection)
        if below is not None:
            tie_to_upper_holder(below, record.fairy_ref)
    except Exception as error:  # noqa: BLE001 - inline: runs at each checkout of such a pool
        contain(error)
    return fairy


def checkout_listener(hooks: SqlalchemyHooks) -> Callable[[Any, Any, Any], None]:
    """Return a listener of the public `checkout` event, which has no wait time."""
    record_checkout, find_frames = make_record_checkout(), make_find_frames()

    def on_checkout(_dbapi_connection: Any, record: Any, proxy: Any) -> None:
        try:
            slot = hooks.slot_of(record)
            if slot is not None:
                got = monotonic()
                frames = find_frames() if slot.stats.is_async else (sys._getframe().f_back, None)
                record_checkout(slot.stats, slot, got, got, frames[0], ref(proxy), frames[1])
                slot.stats.discard_last_wait()
        except Exception as error:  # noqa: BLE001 - inline: a listener of every checkout
            hooks.contain(error)

    return on_checkout
