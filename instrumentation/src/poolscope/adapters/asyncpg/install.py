"""Attach to every `asyncpg.Pool` of the process, existing or made later, from any import.

Methods are wrapped at class level. All ways to a connection use `Pool._acquire`. Each use ends in
`PoolConnectionHolder._release`, even if the server ends it. The holder's `connect` and
`_release_on_close` are wrapped too. The driver's errors of lost connections are noted as they are
made, because nothing else has the reason.

One wrapper per pool separates queueing from connecting. It is around the `get` of the pool's
queue, from the first time at which a caller may have to wait.

The application may drop a proxy without releasing it. Its holder keeps the proxy, so it is never
collected, and the connection stays out, as it does in the pool.
"""

import sys
from collections.abc import Callable
from typing import Any

from asyncpg import InterfaceError  # type: ignore[import-untyped]
from asyncpg.pool import (  # type: ignore[import-untyped]
    Pool,
    PoolConnectionHolder,
)

from poolscope.adapters.asyncpg.checkout import measured_acquire, remembering_caller
from poolscope.adapters.asyncpg.hooks import AsyncpgHooks
from poolscope.adapters.common.patching import Undo, in_order, replace
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, find_site
from poolscope.recording.pool import PoolStats, next_checkout_id
from poolscope.recording.registry import Registry

Method = Callable[..., Any]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return the function that detaches from all of them."""
    hooks = AsyncpgHooks(registry)
    registry.on_fork.append(hooks.attachments.detach_pools)
    registry.finders.append(registry.contained(hooks.find))
    wrappers: tuple[tuple[Any, str, Callable[[Method, AsyncpgHooks], Method]], ...] = (
        (Pool, "_initialize", noting_line),
        (Pool, "_acquire", measured_acquire),
        (Pool, "acquire", remembering_caller),
        (PoolConnectionHolder, "connect", measured_connect),
        (PoolConnectionHolder, "_release", measured_release),
        (PoolConnectionHolder, "_release_on_close", measured_close),
    )

    def put(owner: Any, name: str, measured: Callable[[Method, AsyncpgHooks], Method]) -> Undo:
        return replace(owner, name, lambda original: measured(original, hooks), hooks.contain)

    undo = [put(*wrapper) for wrapper in wrappers]
    undo.append(put(InterfaceError, "__init__", reporting_shared_connection))
    return in_order([*undo, hooks.losses.watch_errors(), hooks.detach_all])


def noting_line(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a pool's `_initialize` that notes the line that awaits the new pool."""
    line_of, making = hooks.contained(find_site), hooks.contained(hooks.making)
    made = hooks.contained(hooks.made)

    async def _initialize(self: Any) -> None:
        # Before the pool connects: an error thrown into a coroutine hides its awaiting frame.
        making(self, line_of(sys._getframe()) or UNKNOWN_SITE)
        try:
            await original(self)
        finally:
            made(self)

    return _initialize


def measured_connect(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `connect` with opening a connection measured, and failures classified."""
    stats_of, opened = hooks.contained(hooks.stats_of), hooks.contained(hooks.opened)
    connect_failed = hooks.contained(hooks.connect_failed)
    connect_began = hooks.contained(hooks.connect_began)
    replaced = hooks.contained(hooks.replaced)
    ended = hooks.contained(PoolStats.note_connect_ended)

    async def connect(self: Any) -> None:
        stats = stats_of(self._pool)
        if stats is None:
            await original(self)
            return
        replaced(stats, self)
        began, token = monotonic(), next_checkout_id()
        try:
            connect_began(stats, token, began, sys._getframe(1))
            await original(self)
        except Exception as error:
            connect_failed(stats, error)
            raise
        finally:
            waiter = stats.waiting.pop(token, None)
            ended(stats, waiter)
        opened(stats, self, monotonic() - began, waiter)

    return connect


def reporting_shared_connection(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return an error's `__init__` that reports when two tasks use one connection at once.

    The driver's protocol raises this error, and there is no other way to detect it. The calling
    frame is a method of the connection.
    """
    shared = hooks.contained(hooks.shared)

    def __init__(  # noqa: N807 - it takes the place of the method
        self: Any, message: Any, *args: Any, **kwargs: Any
    ) -> None:
        original(self, message, *args, **kwargs)
        if "another operation is in progress" in str(message):
            frame = sys._getframe(1)
            shared(frame.f_locals.get("self"), frame)

    return __init__


def measured_release(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `_release` that notes the end of its use, for any caller."""
    not_found = hooks.contained(hooks.not_found)

    def _release(self: Any) -> None:
        try:
            slot = self._pool._queue._poolscope_slots[self]
            out = slot.out
            if out is not None:
                checkout_id, taken_s, _, request, _, context, alive = out
                if alive is not slot.alive:
                    slot.stats.end(slot, monotonic())
                else:
                    # Inlined `end`: one more call costs more than its work.
                    slot.out = None
                    slot.stats.uses.append((monotonic(), taken_s, request, checkout_id, context))
        except Exception as error:  # noqa: BLE001 - inline: runs at each return
            not_found(self, error)
        original(self)

    return _release


def measured_close(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `_release_on_close` that notes the connection's end."""
    closed = hooks.contained(hooks.closed)

    def _release_on_close(self: Any) -> None:
        closed(self)
        original(self)

    return _release_on_close
