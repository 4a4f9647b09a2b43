"""Begin and end a unit of work around the code that does it; declare one by hand."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar
from weakref import ref

from poolscope.catalogue import OTHER, UnitKind
from poolscope.clock import monotonic
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import running_task, this_thread

MAX_NAMES: Final = 200
"""Most names of jobs and commands in one process; further ones are `other`."""

MAX_NAME_LENGTH: Final = 120

_names: set[str] = set()

_Function = TypeVar("_Function", bound=Callable[..., Any])


def bounded_name(name: object) -> str:
    """Return the name of a job, at most `MAX_NAME_LENGTH` characters; beyond the limit, `other`.

    An application may put an identifier into a name. The name is a label of metrics, so the number
    of names must have a limit.
    """
    short = str(name)[:MAX_NAME_LENGTH]
    if short in _names:
        return short
    if len(_names) >= MAX_NAMES:
        return OTHER
    _names.add(short)
    return short


def begin(kind: UnitKind, name: str | None = None) -> Request:
    """Begin a unit of work in the running task or thread; `end` it there."""
    unit, task = Request(), running_task()
    unit.kind, unit.known_route, unit.outer = kind, name, CURRENT.get()
    if task is None:
        unit.thread = this_thread.owner
    else:
        unit.task = ref(task)
    CURRENT.set(unit)
    return unit


def begin_alone(kind: UnitKind, name: str | None = None) -> Request:
    """Begin a unit of work in a thread that runs one after another, for a server or a queue.

    It has no outer unit. If a library does not report the ends, each unit would be inside of the
    one before, and a long chain would stay in memory.
    """
    unit = begin(kind, name)
    unit.outer = None
    return unit


def begin_inside(kind: UnitKind, name: object) -> Request | None:
    """Begin a unit of work, except inside of another one: then return None.

    A request may run the task of a queue at once, and use its connection afterwards. So the task
    belongs to the request. A command is different: a command can be a worker that runs jobs.
    """
    outer = CURRENT.get()
    if outer is not None and outer.finished_at_s is None and outer.kind is not UnitKind.COMMAND:
        return None
    return begin(kind, bounded_name(name))


def end(unit: Request | None) -> None:
    """End a unit of work: a connection that it took must come back now."""
    if unit is None:
        return
    unit.finished_at_s = monotonic()
    leave(unit)


def leave(unit: Request) -> None:
    """Continue with the outer unit, if any, without the end of this one."""
    if CURRENT.get() is unit:
        CURRENT.set(unit.outer)
    unit.outer = None


class UnitOfWork:
    """A block, or each call of a decorated function, that is one job with a name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[Request] = []

    def __enter__(self) -> None:
        """Begin the job."""
        self._open.append(begin(UnitKind.JOB, bounded_name(self._name)))

    def __exit__(self, *_: object) -> None:
        """End the job; an exception continues."""
        end(self._open.pop())

    def __call__(self, function: _Function) -> _Function:
        """Return the function, with each of its calls a job; it may be a coroutine function."""
        is_coroutine = inspect.iscoroutinefunction(function)
        around: Any = self._around_coroutine if is_coroutine else self._around_call
        decorated: Any = wraps(function)(around(function))
        return decorated  # type: ignore[no-any-return] # it takes and returns the same

    def _around_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with UnitOfWork(self._name):
                return function(*args, **kwargs)

        return run

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            with UnitOfWork(self._name):
                return await function(*args, **kwargs)

        return run


def unit_of_work(name: str) -> UnitOfWork:
    """Declare that a block, or each call of a decorated function, is one job with this name.

    Use it for work that poolscope does not find without your help: the turn of a loop, a script,
    the handler of a message. Return every connection that you take inside. If one is still out
    two seconds after the end, that is evidence of a leak (`job_finished`). Use few
    different names, without identifiers: the name is a label of metrics, as a route is.
    """
    return UnitOfWork(name)
