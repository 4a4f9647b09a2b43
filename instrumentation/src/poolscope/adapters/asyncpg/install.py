"""Attach to every `asyncpg.Pool` of the process, made before or after, by whatever import.

Everything is wrapped at class level: `Pool._acquire`, which every way to a connection runs through;
`PoolConnectionHolder._release`, the single end of every use, the server's own included; and the
holder's `connect` and `_release_on_close`. One wrapper per pool, around the `get` of its queue
from when somebody may have to wait, tells queueing from connecting. A proxy that the application
drops without releasing it is never collected (its holder keeps it): such a connection stays out, as
it does in the pool itself.
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
from poolscope.recording.pool import next_checkout_id
from poolscope.recording.registry import Registry

Method = Callable[..., Any]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return what detaches from all of them."""
    hooks = AsyncpgHooks(registry)
    registry.on_fork.append(hooks.attachments.detach_pools)
    registry.finders.append(registry.contained(hooks.find))
    wrappers: tuple[tuple[Any, str, Callable[[Method, AsyncpgHooks], Method]], ...] = (
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
    return in_order([*undo, hooks.detach_all])


def measured_connect(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `connect` with opening a connection measured, and failures classified."""
    stats_of, opened = hooks.contained(hooks.stats_of), hooks.contained(hooks.opened)
    connect_failed = hooks.contained(hooks.connect_failed)
    connect_began = hooks.contained(hooks.connect_began)

    async def connect(self: Any) -> None:
        stats = stats_of(self._pool)
        if stats is None:
            await original(self)
            return
        began, token = monotonic(), next_checkout_id()
        try:
            connect_began(stats, token, began, sys._getframe(1))
            await original(self)
        except Exception as error:
            connect_failed(stats, error)
            raise
        finally:
            stats.waiting.pop(token, None)
        opened(stats, self, monotonic() - began)

    return connect


def reporting_shared_connection(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return an error's `__init__` that tells when two tasks use one connection at once.

    The driver's protocol raises it, which nothing else could watch; the frame that it was called
    from is a method of the connection.
    """
    shared = hooks.contained(hooks.shared)

    def __init__(  # noqa: N807 - it takes the place of the method
        self: Any, message: Any, *args: Any, **kwargs: Any
    ) -> None:
        original(self, message, *args, **kwargs)
        if "another operation is in progress" in str(message):
            shared(sys._getframe(1).f_locals.get("self"))

    return __init__


def measured_release(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `_release` with the end of its use noted, whoever ends it."""
    not_found = hooks.contained(hooks.not_found)

    def _release(self: Any) -> None:
        try:
            slot = self._pool._queue._poolscope_slots[self]
            out = slot.out
            if out is not None:
                if out[6] is not slot.alive:
                    slot.stats.end(slot, monotonic())
                else:
                    # What `end` does, written out: another function costs more than what it does.
                    slot.out = None
                    slot.stats.uses.append((monotonic() - out[1], out[3]))
        except Exception as error:  # noqa: BLE001 - inline: runs at each return
            not_found(self, error)
        original(self)

    return _release


def measured_close(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return a holder's `_release_on_close` with the connection's end noted."""
    closed = hooks.contained(hooks.closed)

    def _release_on_close(self: Any) -> None:
        closed(self)
        original(self)

    return _release_on_close
