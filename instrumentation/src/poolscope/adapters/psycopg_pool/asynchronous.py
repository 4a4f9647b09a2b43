"""Measure the calls of psycopg_pool's asynchronous pools; the hooks decide what they mean."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

from poolscope.adapters.psycopg_pool.hooks import PsycopgPoolHooks
from poolscope.clock import monotonic
from poolscope.recording.checkout import Caller, make_find_caller, make_record_checkout
from poolscope.recording.pool import PoolStats, next_checkout_id

Method = Callable[..., Any]


def measured_getconn(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `getconn` with the checkout measured around it, and attributed to its caller.

    It is called in the task that asks, but `wait_for` and `gather` await it in another task.
    """
    get_frame, contain, find_caller = sys._getframe, hooks.contain, make_find_caller()
    measured = _measured(original, hooks)

    def getconn(self: Any, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        try:
            caller = find_caller(get_frame(1))
        except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
            contain(error)
            return original(self, timeout)  # type: ignore[no-any-return]
        return measured(self, timeout, caller)

    return getconn


def _measured(original: Method, hooks: PsycopgPoolHooks) -> Callable[..., Coroutine[Any, Any, Any]]:
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    record_checkout, stats_of = make_record_checkout(), hooks.contained(hooks.stats_of)

    async def getconn(
        self: Any,
        timeout: float | None,  # noqa: ASYNC109 - the library's parameter
        caller: Caller,
    ) -> Any:
        try:
            stats = self._poolscope
        except AttributeError:
            stats = stats_of(self)
        if stats is None:
            return await original(self, timeout)
        began = now()
        try:
            connection = await original(self, timeout)
        except BaseException as error:
            hooks.failed(stats, error, began)
            raise
        try:
            try:
                slot = connection._poolscope
            except AttributeError:
                slot = hooks.slot_of(stats, connection)
            record_checkout(stats, slot, began, now(), get_frame(), slot.alive, None, caller)
        except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
            contain(error)
        return connection

    hooks.getconn_codes.add(getconn.__code__)
    return getconn


def measured_putconn(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `putconn` that notes the end of the checkout before the connection is free again."""
    returned, discarded = hooks.returned, hooks.contained(hooks.discarded)

    async def putconn(self: Any, conn: Any) -> None:
        returned(self, conn)
        await original(self, conn)
        if getattr(conn, "_pool", None) is self:
            discarded(self, conn)

    return putconn


def measured_connect(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return `_connect` with opening a connection measured, and failures classified."""
    stats_of, opened = hooks.contained(hooks.stats_of), hooks.contained(hooks.opened)
    connect_failed = hooks.contained(hooks.connect_failed)
    connect_began = hooks.contained(hooks.connect_began)
    ended = hooks.contained(PoolStats.note_connect_ended)

    async def _connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        stats = stats_of(self)
        if stats is None:
            return await original(self, *args, **kwargs)
        began, token = monotonic(), next_checkout_id()
        try:
            connect_began(stats, token, began, sys._getframe(1))
            connection = await original(self, *args, **kwargs)
        except Exception as error:
            connect_failed(stats, error)
            raise
        finally:
            waiter = stats.waiting.pop(token, None)
            ended(stats, waiter)
        opened(stats, connection, monotonic() - began, waiter)
        return connection

    return _connect


def measured_wait(original: Method, hooks: PsycopgPoolHooks) -> Method:
    """Return a waiting client's `wait` with only the blocked time measured."""
    waited_for = hooks.contained(hooks.waited_for)

    async def wait(self: Any, timeout: float) -> Any:  # noqa: ASYNC109 - the library's parameter
        stats = waited_for(sys._getframe(1)) if self.conn is None else None
        if stats is None:
            return await original(self, timeout)
        began, token, connection = monotonic(), next_checkout_id(), None
        try:
            hooks.wait_began(stats, token, began, sys._getframe())
            connection = await original(self, timeout)
        finally:
            hooks.wait_ended(stats, token, began, connection)
        return connection

    return wait
