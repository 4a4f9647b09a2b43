"""Attach to every `asyncpg.Pool` of the process, made before or after, by whatever import.

Everything is wrapped at class level: `Pool._acquire`, which every way to a connection runs through;
`PoolConnectionHolder._release`, the single end of every use, the server's own included; and the
holder's `connect` and `_release_on_close`. One wrapper per pool, around the `get` of its queue,
tells queueing from connecting. A proxy that the application drops without releasing it is never
collected (its holder keeps it): such a connection stays out, as it does in the pool itself.
"""

import sys
from collections.abc import Callable, Generator
from typing import Any

from asyncpg import InterfaceError  # type: ignore[import-untyped]
from asyncpg.pool import (  # type: ignore[import-untyped]
    Pool,
    PoolAcquireContext,
    PoolConnectionHolder,
)

from poolscope.adapters.asking import Asked, credit, make_owner_reader
from poolscope.adapters.asyncpg.hooks import Hooks
from poolscope.adapters.patching import Undo, in_order, replace
from poolscope.clock import monotonic
from poolscope.registry import Registry
from poolscope.taking import make_take

MEASURED = "_poolscope_acquire"
"""The name of our `_acquire`, by which it is told from others."""

Method = Callable[..., Any]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return what detaches from all of them."""
    hooks = Hooks(registry)
    registry.on_fork.append(hooks.keeper.forget)
    registry.finders.append(hooks.find)
    wrappers: tuple[tuple[Any, str, Callable[[Method, Hooks], Method]], ...] = (
        (Pool, "acquire", asking),
        (Pool, "_acquire", measured_acquire),
        (PoolConnectionHolder, "connect", measured_connect),
        (PoolConnectionHolder, "_release", ending),
        (PoolConnectionHolder, "_release_on_close", closing),
    )

    def put(owner: Any, name: str, measured: Callable[[Method, Hooks], Method]) -> Undo:
        return replace(owner, name, lambda original: measured(original, hooks), hooks.contain)

    undo = [put(*wrapper) for wrapper in wrappers]
    undo.append(put(InterfaceError, "__init__", telling_sharing))
    return in_order([*undo, hooks.detach_all])


def asking(original: Method, hooks: Hooks) -> Method:
    """Return `Pool.acquire` with who asks remembered: `wait_for` may await it in another task."""
    get_frame, contain, running_owner = sys._getframe, hooks.contain, make_owner_reader()

    def acquire(self: Any, *, timeout: float | None = None) -> Any:
        try:
            context, frame = Acquiring(self, timeout), get_frame(1)
            context.asked = frame.f_code, frame.f_lasti, running_owner()
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
            contain(error)
            return original(self, timeout=timeout)
        return context

    return acquire


class Acquiring(PoolAcquireContext):  # type: ignore[misc]
    """What `pool.acquire()` returns, and who asked for it."""

    __slots__ = ("asked",)

    def __await__(self) -> Generator[Any, Any, Any]:
        """Acquire a connection that the caller releases itself."""
        self.done = True  # type: ignore[misc]  # a slot of the untyped parent
        acquire = self.pool._acquire
        # Somebody may have wrapped it again, or we are uninstrumented: then it is not ours to ask.
        if getattr(acquire, "__name__", "") == MEASURED:
            return acquire(self.timeout, self.asked).__await__()  # type: ignore[no-any-return]
        return acquire(self.timeout).__await__()  # type: ignore[no-any-return]


def measured_acquire(original: Method, hooks: Hooks) -> Method:
    """Return `Pool._acquire` with the checkout measured around it.

    Whatever goes wrong after `original` has returned must not lose the connection.
    """
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    take = make_take(lambda: None)

    async def acquire_measured(self: Any, timeout: float | None, asked: Asked | None = None) -> Any:  # noqa: ASYNC109 - it is theirs
        try:
            stats = self._queue._poolscope
        except AttributeError:
            stats = hooks.stats_of(self)
        if stats is None:
            return await original(self, timeout)
        began = now()
        try:
            proxy = await original(self, timeout)
        except BaseException as error:
            hooks.failed(stats, error)
            raise
        try:
            slot = stats.by_holder[id(proxy._holder)]
            take(stats, slot, began, now(), get_frame(1), slot.alive)
            if asked is not None:
                credit(slot, asked)
        except Exception as error:  # noqa: BLE001
            contain(error)
        return proxy

    acquire_measured.__name__ = MEASURED
    return acquire_measured


def measured_connect(original: Method, hooks: Hooks) -> Method:
    """Return a holder's `connect` with opening a connection measured, and failures classified."""

    async def connect(self: Any) -> None:
        stats = hooks.stats_of(self._pool)
        if stats is None:
            await original(self)
            return
        began = monotonic()
        try:
            await original(self)
        except Exception as error:
            hooks.connect_failed(stats, error)
            raise
        hooks.opened(stats, self, monotonic() - began)

    return connect


def telling_sharing(original: Method, hooks: Hooks) -> Method:
    """Return an error's `__init__` that tells when two tasks use one connection at once.

    The driver's protocol raises it, which nothing else could watch; the frame that it was called
    from is a method of the connection.
    """

    def __init__(self: Any, message: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, message, *args, **kwargs)
        if "another operation is in progress" in str(message):
            hooks.shared(sys._getframe(1).f_locals.get("self"))

    return __init__


def ending(original: Method, hooks: Hooks) -> Method:
    """Return a holder's `_release` with the end of its use noted, whoever ends it."""
    now, contain = monotonic, hooks.contain

    def _release(self: Any) -> None:
        try:
            if self._in_use is not None:
                stats = self._pool._queue.__dict__.get("_poolscope")
                if stats is not None:
                    stats.end(stats.by_holder[id(self)], now())
        except Exception as error:  # noqa: BLE001
            contain(error)
        original(self)

    return _release


def closing(original: Method, hooks: Hooks) -> Method:
    """Return a holder's `_release_on_close` with the connection's end noted."""

    def _release_on_close(self: Any) -> None:
        hooks.closed(self)
        original(self)

    return _release_on_close
