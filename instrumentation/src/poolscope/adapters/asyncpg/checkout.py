"""Measure a checkout of `asyncpg.Pool`: who asked for a connection, and when it came."""

import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from asyncpg.pool import PoolAcquireContext  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.hooks import Hooks
from poolscope.clock import monotonic
from poolscope.taking import Asked, make_ask, make_take

_MEASURED = "acquire_measured"
"""The name of our `_acquire` in its code, which `functools.wraps` does not give to a wrapper."""

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

    def __aenter__(self) -> Coroutine[Any, Any, Any]:
        """Acquire a connection that is released at the end of the block.

        The measured coroutine is what enters the block: one more around it would cost.
        """
        acquire = self.pool._acquire
        if self.connection is None and not self.done and _is_ours(acquire):
            return acquire(self.timeout, self)  # type: ignore[no-any-return]
        return super().__aenter__()  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, Any, Any]:
        """Acquire a connection that the caller releases itself."""
        acquire = self.pool._acquire
        if _is_ours(acquire):
            self.done = True  # type: ignore[misc]  # a slot of the untyped parent
            return acquire(self.timeout, self).__await__()  # type: ignore[no-any-return]
        return super().__await__()  # type: ignore[no-any-return]


def _is_ours(acquire: Any) -> bool:
    """Tell whether it takes our context: somebody may have wrapped it, or it is the original."""
    code = getattr(acquire, "__code__", None)
    return code is not None and code.co_name == _MEASURED


def measured_acquire(original: Method, hooks: Hooks) -> Method:
    """Return `Pool._acquire` with the checkout measured around it.

    Whatever goes wrong after `original` has returned must not lose the connection.
    """
    now, get_frame, contain, slots = monotonic, sys._getframe, hooks.contain, hooks.slots
    take = make_take()

    async def acquire_measured(
        self: Any,
        timeout: float | None,  # noqa: ASYNC109 - it is theirs
        context: Acquiring | None = None,
    ) -> Any:
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
            who = None if context is None else context.asked
            take(stats, slot, began, now(), get_frame(), slot.alive, who)
        except Exception as error:  # noqa: BLE001
            contain(error)
        if context is not None:
            context.connection = proxy  # what the end of its block releases
        return proxy

    return acquire_measured
