"""Find the task or thread that runs now, for code where the public way costs too much."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

Owner = ReferenceType[asyncio.Task[Any]] | int
"""The task that asks for a connection, or the ident of the thread that does."""

running_loop: Callable[[], asyncio.AbstractEventLoop | None]
running_loop = asyncio._get_running_loop  # noqa: SLF001 - the public one raises without a loop: slow

# Up to Python 3.11 asyncio.current_task() is written in Python, and four times as dear.
_tasks: Any = asyncio.tasks
task_of: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any] | None"] = (
    asyncio.current_task if sys.version_info >= (3, 12) else _tasks._current_tasks.get  # noqa: SLF001 - see above
)
"""Return the task that a running loop is in, or None between two of them."""


def running_task() -> "asyncio.Task[Any] | None":
    """Return the task that runs now; None outside of asyncio. It never raises."""
    loop = running_loop()
    return task_of(loop) if loop is not None else None


def running_owner() -> Owner:
    """Return the task that runs now, or the ident of the thread outside of asyncio."""
    task = running_task()
    return threading.get_ident() if task is None else ref(task)
