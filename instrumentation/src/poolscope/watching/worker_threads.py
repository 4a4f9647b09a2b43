"""Read from anyio's limiter how many threads serve requests, and which requests wait for one."""

import math
import sys
from asyncio import Task
from collections.abc import Iterable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType, ref

from poolscope.recording.requests import CURRENT, Request

_LIMITER = "anyio.to_thread"
_BACKEND = "anyio._backends._asyncio"


@dataclass(frozen=True, slots=True)
class WorkerThreads:
    """The pool of threads that runs `def` routes and dependencies (Starlette, FastAPI).

    `limit` is None if there is no limit. `tasks` wait for a thread on behalf of `requests`.
    """

    used: int
    limit: int | None
    waiting: int
    tasks: frozenset[ReferenceType[Task[Any]]] = frozenset()
    requests: frozenset[Request] = frozenset()

    def is_awaited_by(self, request: Request | None) -> bool:
        """Return whether a request waits for a thread."""
        if request is None or request.finished_at_s is not None:
            return False
        task = request.task() if request.task is not None else None
        # A reference to a collected task has no hash.
        return request in self.requests or (task is not None and ref(task) in self.tasks)


def read_worker_threads() -> WorkerThreads | None:
    """Read the limiter of the running loop; None if anyio's threads were never used.

    It never raises: an event loop calls this, and anyio may change.
    """
    if _LIMITER not in sys.modules or _BACKEND not in sys.modules:
        return None
    with suppress(Exception):
        return _context().run(_read)
    return None


def _read() -> WorkerThreads:
    limiter = sys.modules[_LIMITER].current_default_thread_limiter()
    found = limiter.statistics()
    limit = None if math.isinf(found.total_tokens) else int(found.total_tokens)
    # The statistics do not include the tasks that wait.
    queue = getattr(limiter, "_wait_queue", None) if found.tasks_waiting else None
    tasks = [task for task in list(queue or ()) if isinstance(task, Task)]
    return WorkerThreads(
        used=found.borrowed_tokens,
        limit=limit,
        waiting=found.tasks_waiting,
        tasks=frozenset(map(ref, tasks)),
        requests=frozenset(filter(None, map(_request_of, tasks))),
    )


def _context() -> Context:
    """Return a context in which anyio finds its asynchronous library outside a task."""
    context = copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, "asyncio")
    return context


def _request_of(task: Task[Any]) -> Request | None:
    """Return the request that a task runs for, if Python gives its context (from 3.12 on)."""
    context: Context | None = task.get_context() if hasattr(task, "get_context") else None
    return context.get(CURRENT) if context is not None else None


def in_all(pools: Iterable[WorkerThreads | None]) -> WorkerThreads | None:
    """Return the threads of all loops together, None if there are none."""
    known = [pool for pool in pools if pool is not None]
    if not known:
        return None
    limits = [pool.limit for pool in known if pool.limit is not None]
    return WorkerThreads(
        used=sum(pool.used for pool in known),
        limit=sum(limits) if len(limits) == len(known) else None,
        waiting=sum(pool.waiting for pool in known),
        tasks=frozenset().union(*(pool.tasks for pool in known)),
        requests=frozenset().union(*(pool.requests for pool in known)),
    )
