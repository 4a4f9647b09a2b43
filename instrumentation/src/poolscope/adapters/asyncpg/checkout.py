"""Measure a checkout of `asyncpg.Pool`: who asked for a connection, and when it came."""

import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from asyncpg.pool import PoolAcquireContext  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.hooks import Hooks
from poolscope.clock import monotonic
from poolscope.taking import Asked, make_ask, make_take

MEASURED = "_poolscope_acquire"
"""The name of our `_acquire`, by which it is told from others."""

Method = Callable[..., Any]


def asking(original: Method, hooks: Hooks) -> Method:
    """Return `Pool.acquire` with who asks remembered: `wait_for` may await it in another task."""
    get_frame, contain, ask = sys._getframe, hooks.contain, make_ask()

    def acquire(self: Any, *, timeout: float | None = None) -> Any:
        try:
            context = Acquiring(self, timeout)
            context.asked = ask(get_frame(1))
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
            contain(error)
            return original(self, timeout=timeout)
        return context

    return acquire


class Acquiring(PoolAcquireContext):  # type: ignore[misc]
    """What `pool.acquire()` returns, and who asked for it."""

    __slots__ = ("asked",)

    asked: Asked
    connection: Any

    async def __aenter__(self) -> Any:
        """Acquire a connection that is released at the end of the block."""
        if self.connection is not None or self.done:
            return await super().__aenter__()  # which refuses
        self.connection = proxy = await self._acquired()
        return proxy

    def __await__(self) -> Generator[Any, Any, Any]:
        """Acquire a connection that the caller releases itself."""
        self.done = True  # type: ignore[misc]  # a slot of the untyped parent
        return self._acquired().__await__()

    def _acquired(self) -> Coroutine[Any, Any, Any]:
        acquire = self.pool._acquire
        # Somebody may have wrapped it again, or we are uninstrumented: then it is not ours to ask.
        if getattr(acquire, "__name__", "") == MEASURED:
            return acquire(self.timeout, self.asked)  # type: ignore[no-any-return]
        return acquire(self.timeout)  # type: ignore[no-any-return]


def measured_acquire(original: Method, hooks: Hooks) -> Method:
    """Return `Pool._acquire` with the checkout measured around it.

    Whatever goes wrong after `original` has returned must not lose the connection.
    """
    now, get_frame, contain, slots = monotonic, sys._getframe, hooks.contain, hooks.slots
    take = make_take()

    async def acquire_measured(self: Any, timeout: float | None, who: Asked | None = None) -> Any:  # noqa: ASYNC109 - it is theirs
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
            slot = slots[id(proxy._holder)]
            take(stats, slot, began, now(), get_frame(), slot.alive, who)
        except Exception as error:  # noqa: BLE001
            contain(error)
        return proxy

    acquire_measured.__name__ = MEASURED
    return acquire_measured
