"""Note that a connection was taken: the hot path, where each microsecond is the application's."""

import asyncio
import sys
import threading
from bisect import bisect_left
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import ref

from poolscope.callsite import find_site
from poolscope.pool import PoolStats, Slot, next_checkout_id
from poolscope.requests import CURRENT
from poolscope.tracing import current_context

# Up to Python 3.11 asyncio.current_task() is written in Python, and four times as dear.
_tasks: Any = asyncio.tasks
current_task: Callable[[Any], Any] = (
    asyncio.current_task if sys.version_info >= (3, 12) else _tasks._current_tasks.get  # noqa: SLF001
)

Alive = Callable[[], object]
"""Returns None once the pooled connection object that the application holds is collected."""

Take = Callable[[PoolStats, Slot, float, float, FrameType | None, Alive], None]
"""Of pool, connection, when it was asked for and got, the asking frame, and what holds it."""


def make_take(parent_frame: Callable[[], FrameType | None]) -> Take:
    """Return what notes a checkout: who has the connection, since when, and the wait for it.

    `parent_frame` finds the frame that a greenlet hides, for asynchronous pools. The names are
    local because looking up globals costs; it may raise, so its callers contain it.
    """
    running_loop = asyncio._get_running_loop  # noqa: SLF001 - the public one raises, which costs
    thread_ident, task_of, next_id, bisect, site_of, request_of, context_of, weak = (
        threading.get_ident, current_task, next_checkout_id, bisect_left, find_site,
        CURRENT.get, current_context, ref,
    )  # fmt: skip

    def take(  # noqa: PLR0917 - keyword arguments would cost
        stats: PoolStats,
        slot: Slot,
        asked: float,
        got: float,
        frame: FrameType | None,
        alive: Alive,
    ) -> None:
        loop = running_loop()
        task = task_of(loop) if loop is not None else None
        if stats.is_async:
            site = site_of(frame, parent_frame())
        else:
            site = site_of(frame)
            if loop is not None:
                stats.blocking += 1
        if slot.out is not None:
            # A StaticPool's one connection, taken while it is out: one checkout after another.
            stats.end(slot, got)
        slot.out = (
            next_id(), got, site, request_of(),
            thread_ident() if task is None else weak(task),
            context_of(), alive,
        )  # fmt: skip
        wait, waited = stats.wait, got - asked
        wait.counts[bisect(wait.bounds, waited)] += 1
        wait.sum += waited
        if wait.buffer is not None:
            wait.keep(waited)

    return take


def holds_another(stats: PoolStats) -> bool:
    """Say whether whoever runs now has a connection of this pool out already.

    For the blocked path only: a request or task that holds a connection and waits for another of
    the same pool deadlocks it once enough do so.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001
    task = current_task(loop) if loop is not None else None
    owner = threading.get_ident() if task is None else ref(task)
    request = CURRENT.get()
    outs = [slot.out for slot in stats.slots.copy().values()]
    return any(
        out is not None and (out[4] == owner or (request is not None and out[3] is request))
        for out in outs
    )
