"""Attach to every pool of psycopg_pool in the process, existing or made later, null pools too.

Methods `getconn` and `putconn` are wrapped at class level: `connection()` and `close_returns` call
them, and null pools inherit them. The pool's workers open connections in `_connect`, and close
them in `_close_connection`.

A caller is blocked only in `WaitingClient.wait`, so only this counts as waiting. The pool's number
of waiting clients also has callers that gave up.
"""

import sys
from collections.abc import Callable
from typing import Any

from psycopg_pool import AsyncConnectionPool, ConnectionPool, pool, pool_async

from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.adapters.psycopg_pool import asynchronous
from poolscope.adapters.psycopg_pool.hooks import PsycopgPoolHooks
from poolscope.clock import monotonic
from poolscope.recording.checkout import make_record_checkout
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry

Method = Callable[..., Any]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return the function that detaches from all of them."""
    hooks = PsycopgPoolHooks(registry)
    registry.on_fork.append(hooks.attachments.detach_pools)
    registry.finders.append(registry.contained(hooks.find))
    wrappers: tuple[tuple[Any, str, Callable[[Method, PsycopgPoolHooks], Method]], ...] = (
        (ConnectionPool, "__init__", noting_line),
        (ConnectionPool, "getconn", measured_getconn),
        (ConnectionPool, "putconn", measured_putconn),
        (ConnectionPool, "_connect", measured_connect),
        (ConnectionPool, "_close_connection", measured_close),
        (pool.WaitingClient, "wait", measured_wait),
        (AsyncConnectionPool, "__init__", noting_line),
        (AsyncConnectionPool, "getconn", asynchronous.measured_getconn),
        (AsyncConnectionPool, "putconn", asynchronous.measured_putconn),
        (AsyncConnectionPool, "_connect", asynchronous.measured_connect),
        (AsyncConnectionPool, "_close_connection", measured_close),
        (pool_async.WaitingClient, "wait", asynchronous.measured_wait),
    )

    def put(owner: Any, name: str, measured: Callable[[Method, PsycopgPoolHooks], Method]) -> Undo:
        return replace(owner, name, lambda original: measured(original, hooks), hooks.contain)

    return in_order([*(put(*wrapper) for wrapper in wrappers), hooks.detach_all])


def noting_line(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return the `__init__` of a pool of either kind, which notes the line that makes the pool."""
    making, made = hooks.contained(hooks.making), hooks.contained(hooks.made)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - as the method
        making(self, sys._getframe())
        original(self, *args, **kwargs)
        made(self)

    return __init__


def measured_getconn(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `getconn` with the checkout measured around it.

    An error after `original` has returned must not lose the connection: the pool would lose a
    place until it ends.
    """
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    record_checkout, stats_of = make_record_checkout(), hooks.contained(hooks.stats_of)

    def getconn(self: Any, timeout: float | None = None) -> Any:
        try:
            stats = self._poolscope
        except AttributeError:
            stats = stats_of(self)
        if stats is None:
            return original(self, timeout)
        began = now()
        try:
            connection = original(self, timeout)
        except BaseException as error:
            hooks.failed(stats, error, began)
            raise
        try:
            try:
                slot = connection._poolscope
            except AttributeError:
                slot = hooks.slot_of(stats, connection)
            record_checkout(stats, slot, began, now(), get_frame().f_back, slot.alive)
        except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
            contain(error)
        return connection

    hooks.getconn_codes.add(getconn.__code__)
    return getconn


def measured_putconn(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `putconn` that notes the end of the checkout before the connection is free again."""
    returned, discarded = hooks.returned, hooks.contained(hooks.discarded)

    def putconn(self: Any, conn: Any) -> None:
        returned(self, conn)
        original(self, conn)
        if getattr(conn, "_pool", None) is self:
            discarded(self, conn)

    return putconn


def measured_connect(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `_connect` with opening a connection measured, and failures classified."""
    stats_of, opened = hooks.contained(hooks.stats_of), hooks.contained(hooks.opened)
    connect_failed = hooks.contained(hooks.connect_failed)
    connect_began = hooks.contained(hooks.connect_began)
    ended = hooks.contained(PoolStats.note_connect_ended)

    def _connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        stats = stats_of(self)
        if stats is None:
            return original(self, *args, **kwargs)
        began, token = monotonic(), next_checkout_id()
        try:
            connect_began(stats, token, began, sys._getframe(1))
            connection = original(self, *args, **kwargs)
        except Exception as error:
            connect_failed(stats, error)
            raise
        finally:
            waiter = stats.waiting.pop(token, None)
            ended(stats, waiter)
        opened(stats, connection, monotonic() - began, waiter)
        return connection

    return _connect


def measured_close(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `_close_connection` of either kind of pool, which notes the reason."""
    note_closing = hooks.contained(hooks.closing)

    def _close_connection(self: Any, conn: Any) -> Any:
        note_closing(self, conn)
        return original(self, conn)

    return _close_connection


def measured_wait(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return a waiting client's `wait` with only the blocked time measured."""
    waited_for = hooks.contained(hooks.waited_for)

    def wait(self: Any, timeout: float) -> Any:
        stats = waited_for(sys._getframe(1)) if self.conn is None else None
        if stats is None:
            return original(self, timeout)
        began, token, connection = monotonic(), next_checkout_id(), None
        try:
            hooks.wait_began(stats, token, began, sys._getframe())
            connection = original(self, timeout)
        finally:
            hooks.wait_ended(stats, token, began, connection)
        return connection

    return wait
