"""Find the running task or thread and whether it has ended, at a low cost per checkout."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any, Final
from weakref import ReferenceType, ref


class _Life:
    """An object that lives as long as its thread: only the thread's local storage refers to it."""

    __slots__ = ("__weakref__",)


class ThreadOwner:
    """A thread that takes connections; `ident` finds its stack while it lives.

    Two threads are never equal. The operating system reuses the ident of an ended thread for the
    next one, so a comparison by ident would confuse them.

    If gevent or eventlet has replaced `threading.local`, each greenlet is an owner. Its stack is in
    `greenlet`, which is None for a thread.
    """

    __slots__ = ("greenlet", "ident", "life")

    def __init__(self, life: _Life) -> None:
        self.ident = threading.get_ident()
        self.life = ref(life)
        self.greenlet: ReferenceType[Any] | None = None


class _ThisThread(threading.local):
    """The data of each thread: made at its first use in the thread, dropped when the thread ends.

    It needs no `Thread` object, because threads that Python did not start have none. If gevent or
    eventlet has replaced `threading.local`, each greenlet has its data.
    """

    def __init__(self) -> None:
        self._life = _Life()
        self.owner: Final = ThreadOwner(self._life)
        if _ThisThread.__mro__[1].__module__ != "_thread" and "greenlet" in sys.modules:
            self.owner.greenlet = ref(sys.modules["greenlet"].getcurrent())


this_thread = _ThisThread()

Owner = ReferenceType[asyncio.Task[Any]] | ThreadOwner
"""The task that asks for a connection, or the thread if there is no task."""

running_loop: Callable[[], asyncio.AbstractEventLoop | None]
running_loop = asyncio._get_running_loop  # noqa: SLF001 - the public one raises without a loop: slow

# Up to Python 3.11 asyncio.current_task() is written in Python, and costs four times as much.
_tasks: Any = asyncio.tasks
task_of: Callable[[asyncio.AbstractEventLoop], "asyncio.Task[Any] | None"] = (
    asyncio.current_task if sys.version_info >= (3, 12) else _tasks._current_tasks.get  # noqa: SLF001 - see above
)
"""Returns the running task of a running loop, or None between two tasks."""


def running_task() -> "asyncio.Task[Any] | None":
    """Return the task that runs now; None outside asyncio. It never raises."""
    loop = running_loop()
    return task_of(loop) if loop is not None else None


def running_owner() -> Owner:
    """Return the task that runs now, or the thread outside asyncio."""
    task = running_task()
    return this_thread.owner if task is None else ref(task)


_GREENLET_HUBS: Final = {"gevent": "gevent.hub", "eventlet": "eventlet.hubs"}


def hidden_greenlets() -> str | None:
    """Return the library with greenlets that all look like their thread; None if none is loaded.

    If a library had patched `threading` before this module was imported, its greenlets are visible.
    """
    if _ThisThread.__mro__[1].__module__ != "_thread":
        return None
    return next((name for name, hub in _GREENLET_HUBS.items() if hub in sys.modules), None)


_OF_ANOTHER_LOOP = ("to a different loop", "to a different event loop", "Event loop is closed")
"""Parts of asyncio's messages on a task, a lock or a transport of another event loop."""


def is_of_another_loop(error: BaseException) -> bool:
    """Return whether an error was raised because an object belongs to another event loop."""
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _OF_ANOTHER_LOOP)


def is_gone(owner: Owner) -> bool:
    """Return whether a task or thread has ended, so that it can no longer return a connection."""
    if isinstance(owner, ThreadOwner):
        return owner.life() is None
    task = owner()
    return task is None or task.done()
