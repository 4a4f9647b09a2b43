"""Measure a checkout of SQLAlchemy, around `Pool.connect`."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import ref

from sqlalchemy import Engine

from poolscope.adapters.layers import hold, slot_below
from poolscope.adapters.sqlalchemy.hooks import Hooks
from poolscope.adapters.sqlalchemy.pools import parent_frame_reader
from poolscope.clock import monotonic
from poolscope.taking import make_take

Connect = Callable[[Any], Any]

_RAW_CONNECTION = getattr(Engine.raw_connection, "__code__", None)
_ENGINE_CONNECT = getattr(Engine.connect, "__code__", None)
_FROM_THERE = 3
"""Frames from `Engine.connect` to a pool's `connect`: no use in looking at each."""


def measured_connect(  # noqa: C901 - the hot path: splitting it would cost calls
    original: Connect, hooks: Hooks, *, is_base: bool = True
) -> Connect:
    """Return `Pool.connect`, or a subclass's own, with the checkout measured around it.

    A subclass's may call its parent's, which then has noted the checkout already. Whatever goes
    wrong after `original` has returned must not lose the connection: that would be a slot of the
    pool for good.
    """
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    take = make_take(parent_frame_reader())
    raw_connection, engine_connect = _RAW_CONNECTION, _ENGINE_CONNECT

    def connect(self: Any) -> Any:  # noqa: C901
        try:
            stats = self._poolscope
        except AttributeError:
            stats = hooks.attach(self)
        if stats is None:
            return _passed_on(original(self), contain)
        asked = now()
        try:
            fairy = original(self)
        except BaseException as error:
            hooks.failed(stats, error)
            raise
        try:
            got, record = now(), fairy._connection_record
            try:
                slot = record._poolscope
            except AttributeError:
                slot = hooks.new_slot(stats, record)
            # A counter above 1: SingletonThreadPool handed out what this thread has already.
            if slot.out is None or (
                fairy._counter == 1 and (is_base or not hooks.is_noted(slot, record))
            ):
                try:
                    frame: FrameType | None = (caller := get_frame(1))
                    if caller.f_code is raw_connection:
                        outer = get_frame(_FROM_THERE)
                        frame = outer.f_back if outer.f_code is engine_connect else caller
                except ValueError:  # the stack of a greenlet may be short
                    frame = get_frame().f_back
                take(stats, slot, asked, got, frame, record.fairy_ref)
                if stats.pre_ping:
                    hooks.pinged(stats, slot, got - asked)
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
            contain(error)
        return fairy

    return connect


def measured_return(
    original: Callable[[Any, Any], None], hooks: Hooks
) -> Callable[[Any, Any], None]:
    """Return `Pool._return_conn` with the end of a checkout noted before it.

    The collector runs it too: a synchronous connection that was never closed comes back by it.
    """
    now, contain, adopt = monotonic, hooks.contain, hooks.adopt

    def _return_conn(self: Any, record: Any) -> None:
        try:
            slot = record._poolscope
        except AttributeError:
            adopt(record)
        else:
            try:
                if slot.out is not None:
                    slot.stats.end(slot, now())
            except Exception as error:  # noqa: BLE001
                contain(error)
        original(self, record)

    return _return_conn


def _passed_on(fairy: Any, contain: Callable[[Exception], None]) -> Any:
    """Return what a pool handed out that we do not count: maybe because the one below does."""
    try:
        record = fairy._connection_record
        below = slot_below(record.driver_connection)
        if below is not None:
            hold(below, record.fairy_ref)
    except Exception as error:  # noqa: BLE001
        contain(error)
    return fairy


def noted_checkout(hooks: Hooks) -> Callable[[Any, Any, Any], None]:
    """Return a listener of the public `checkout` event: who took what, but not how long it took."""
    take = make_take(parent_frame_reader())

    def on_checkout(_dbapi_connection: Any, record: Any, proxy: Any) -> None:
        try:
            slot = hooks.slot_of(record)
            if slot is not None:
                got = monotonic()
                take(slot.stats, slot, got, got, sys._getframe().f_back, ref(proxy))
                slot.stats.forget_wait()
        except Exception as error:  # noqa: BLE001
            hooks.contain(error)

    return on_checkout
