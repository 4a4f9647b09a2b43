"""Measure a checkout of `asyncpg.Pool`: the caller, and the time until it got a connection."""

import sys
from collections.abc import Callable, Generator
from typing import Any
from weakref import ref

from asyncpg.pool import Pool, PoolAcquireContext  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.hooks import AsyncpgHooks
from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site, known_sites
from poolscope.recording.pool import NOTED_LIMIT, next_checkout_id
from poolscope.recording.requests import CURRENT
from poolscope.recording.tasks import running_loop, task_of, this_thread
from poolscope.recording.tracing import current_context

Method = Callable[..., Any]

request_of = CURRENT.get

_REPLACED = {
    "__init__": ("pool", "timeout", "connection", "done"),
    "__aenter__": (
        "connection", "done", "exceptions", "InterfaceError", "pool", "_acquire", "timeout",
    ),
    "__await__": ("done", "pool", "_acquire", "timeout", "__await__"),
}  # fmt: skip
"""Names that the driver's context methods use; the replacements do the same or need their data."""


class _Context:
    """A context like the driver's known one, for measuring a driver with a changed context."""

    __slots__ = ("connection", "done", "pool", "timeout")

    def __init__(self, pool: Any, timeout: float | None) -> None:
        self.pool = pool
        self.timeout = timeout
        self.connection = None
        self.done = False


def remembering_caller(original: Method, hooks: AsyncpgHooks) -> Method:
    """Return `Pool.acquire` that records its caller: `wait_for` may await it in another task."""
    context_class = hooks.context_class
    if context_class is None:
        return original
    contain, get_frame, known_site = hooks.contain, sys._getframe, known_sites.get
    note_foreign_loop, has_loop = hooks.contained(hooks.note_foreign_loop), hasattr(Pool, "_loop")

    def acquire(self: Any, *, timeout: float | None = None) -> Any:
        try:
            context = context_class(self, timeout)
            frame = get_frame(1)
            context.site = known_site(id(frame.f_code) + frame.f_lasti) or find_site(frame)
            loop = running_loop()
            task = None if loop is None else task_of(loop)
            context.owner = this_thread.owner if task is None else ref(task)
            if has_loop and self._loop is not loop and loop is not None:
                note_foreign_loop(self)
        except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
            contain(error)
            return original(self, timeout=timeout)
        return context

    return acquire


def measured_acquire(  # noqa: C901 - the hot path: splitting it would cost calls
    original: Method, hooks: AsyncpgHooks
) -> Method:
    """Return `Pool._acquire` with the checkout measured around it.

    The result of `acquire()` measures the checkout, with no more coroutines than the driver's:
    one more coroutine would cost time. If the driver's context is unknown, `acquire()` still
    returns it unchanged.
    """
    first_use = hooks.contained(hooks.first_use)
    known = is_known(PoolAcquireContext)
    base: Any = PoolAcquireContext if known else _Context

    class MeasuredContext(base):  # type: ignore[misc]
        """The result of `pool.acquire()`, with its caller if known."""

        __slots__ = ("owner", "site")

        owner: Any  # a weak reference to the task, or the thread
        site: Site | None
        connection: Any

        async def __aenter__(  # noqa: C901 - the hot path, as above
            self, itself: bool = False
        ) -> Any:
            """Acquire a connection that is released at the end of the block.

            An error after `original` has returned must not lose the connection. `Pool._acquire`
            is called only if another library has wrapped it. The wrapper then calls poolscope's
            function, which sets `itself`.
            """
            pool = self.pool
            if not itself and (
                self.connection is not None or self.done or type(pool)._acquire is not _acquire
            ):
                return await base.__aenter__(self)
            timeout = self.timeout
            try:
                queue = pool._queue
                stats = queue._poolscope
                if timeout is not None or not queue._queue:
                    hooks.measure_queue(pool, timeout)  # the caller may have to wait
            except AttributeError:
                stats = first_use(pool, timeout)
            if stats is None:
                self.connection = connection = await original(pool, timeout)
                return connection
            began = monotonic()
            try:
                self.connection = connection = await original(pool, timeout)
            except BaseException as error:
                hooks.failed(stats, error, began)
                raise
            try:
                got, slot = monotonic(), queue._poolscope_slots[connection._holder]
                site = self.site
                if site is None or site is UNKNOWN_SITE:
                    caller = None if site is None else (site, self.owner)
                    hooks.record_checkout(
                        stats, slot, began, got, sys._getframe(), slot.alive, None, caller
                    )
                    return connection
                # Inlined `record_checkout`: one more call costs more than its work.
                slot.out = (
                    next_checkout_id(), got, site, request_of(), self.owner, current_context(),
                    slot.alive,
                )  # fmt: skip
                waits, waited_s = stats.waits, got - began
                waits.append(waited_s)
                if len(waits) > NOTED_LIMIT:
                    stats.count()
                if waited_s >= stats.noticed_wait_s:
                    stats.slow.note_wait(began, got)
            except Exception as error:  # noqa: BLE001 - no poolscope error may reach the application
                hooks.contain(error)
            return connection

        def __await__(self) -> Generator[Any, Any, Any]:
            """Acquire a connection that the caller releases."""
            if type(self.pool)._acquire is not _acquire:
                return super().__await__()  # type: ignore[no-any-return]
            self.done = True  # type: ignore[misc]  # a slot of the untyped parent
            context = MeasuredContext(self.pool, self.timeout)
            context.site, context.owner = self.site, self.owner
            return context.__aenter__(itself=True).__await__()

    async def _acquire(self: Any, timeout: float | None) -> Any:  # noqa: ASYNC109 - the library's parameter
        context = MeasuredContext(self, timeout)
        context.site = context.owner = None
        return await context.__aenter__(itself=True)

    hooks.context_class = MeasuredContext if known else None
    hooks.acquire_codes.add(MeasuredContext.__aenter__.__code__)
    return _acquire


def is_known(context_class: type) -> bool:
    """Return whether the driver's context uses exactly the names that poolscope expects."""
    own = vars(context_class)
    return all(
        names == getattr(getattr(own.get(name), "__code__", None), "co_names", None)
        for name, names in _REPLACED.items()
    )
