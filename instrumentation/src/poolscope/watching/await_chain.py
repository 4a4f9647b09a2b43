"""Read where a suspended coroutine waits, from another thread: its chain of awaits, inwards.

A frame object keeps the local variables of the application alive. So each frame is released as soon
as its code and its instruction are read.
"""

import asyncio
import gc
import sys
from asyncio import Task
from collections.abc import Callable
from threading import Thread
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final, NamedTuple

MAX_FRAMES: Final = 256
"""Most frames of one owner that are read; nothing is known of an owner with a deeper stack.

A request under a dozen layers of middleware has a hundred frames, and its line is the innermost.
"""

Spot = tuple[CodeType, int]
"""A code object, and the offset of the instruction at which it is."""

_WRAPPERS: Final = frozenset(
    {"async_generator_asend", "async_generator_athrow", "anext_awaitable", "coroutine_wrapper"}
)
"""Awaitables of the interpreter that hide a generator or a coroutine, by the name of their type."""

_GATHERING: Final = getattr(asyncio.tasks, "_GatheringFuture", None)

_ANYIO_JOB: Final = "run_sync_in_worker_thread"
_GREENLET_JOB: Final = "greenlet_spawn"

_STEPS: Final[dict[type, tuple[str, str]]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


class UnreadableError(Exception):
    """The stack of an owner is too deep, or the owner continued while its stack was read."""


class Chain(NamedTuple):
    """The frames of a suspended task, the outermost first.

    The innermost awaitable is named in `waits_in` if it has no frame, such as a future. If the task
    waits for a job in a worker thread of anyio, that thread is `worker`. If it waits for a task
    that runs now, that task is `running`.
    """

    spots: list[Spot]
    waits_in: str | None = None
    worker: Thread | None = None
    running: "Task[Any] | None" = None


def read_chain(task: "Task[Any]") -> Chain:
    """Return where a task is suspended; raise `UnreadableError` if it runs or has ended."""
    spots: list[Spot] = []
    current: Any = Task.get_coro(task)
    inner: Any = None
    while current is not None and len(spots) < MAX_FRAMES:
        names = _STEPS.get(type(current))
        if names is not None:
            _add_spots(spots, current, getattr(current, names[0]))
            inner, current = current, getattr(current, names[1])
            continue
        following = _unwrap(current)
        if isinstance(following, Task):
            if is_running(following):
                return Chain(spots, running=following)
            following = Task.get_coro(following)
        if following is None:
            break
        current = following
    worker = _worker_of(inner, spots[-1][0]) if spots and current is not None else None
    chain = Chain(spots, _name(current), worker)
    _check_unchanged(inner, spots)  # after everything is read
    return chain


def is_running(task: "Task[Any]") -> bool:
    """Return whether a task runs at this instant, so that its frames are those of its thread."""
    return bool(getattr(Task.get_coro(task), "cr_running", False))


def _is_never_end(_: CodeType) -> bool:
    return False


def stack_spots(
    frame: FrameType | None, is_end: Callable[[CodeType], bool] = _is_never_end
) -> list[Spot]:
    """Return the frames of a stack, the outermost first, without those from `is_end` outwards."""
    spots: list[Spot] = []
    while frame is not None and len(spots) < MAX_FRAMES and not is_end(frame.f_code):
        spots.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    spots.reverse()
    return spots


def _add_spots(spots: list[Spot], awaitable: Any, frame: FrameType | None) -> None:
    """Add the frame of a coroutine or generator, and those of the greenlet that it runs."""
    if frame is None:
        raise UnreadableError
    code = frame.f_code
    spots.append((code, frame.f_lasti))
    if code.co_name == _GREENLET_JOB:
        spots += _greenlet_spots(awaitable)


def _check_unchanged(inner: Any, spots: list[Spot]) -> None:
    """Raise if the innermost coroutine continued: then no frame above it is certain either."""
    if inner is None or len(spots) >= MAX_FRAMES or getattr(inner, "cr_running", False):
        raise UnreadableError
    frame = getattr(inner, _STEPS[type(inner)][0])
    if frame is None or (frame.f_code, frame.f_lasti) not in spots:
        raise UnreadableError


def _unwrap(awaitable: Any) -> Any:
    """Return what an awaitable without a frame waits for; None if the chain ends with it."""
    kind = type(awaitable)
    if kind.__name__ in _WRAPPERS and kind.__module__ == "builtins":
        return next((each for each in gc.get_referents(awaitable) if _leads_on(each)), None)
    if kind.__name__ != "FutureIter":
        return None
    future = _future_of(awaitable)
    if isinstance(future, Task):
        return future
    if _GATHERING is not None and type(future) is _GATHERING:
        pending = [child for child in getattr(future, "_children", ()) if not child.done()]
        # Of several tasks, none alone keeps the owner waiting: its line is the one that gathers.
        return pending[0] if len(pending) == 1 and isinstance(pending[0], Task) else None
    return None


def _leads_on(awaitable: Any) -> bool:
    kind = type(awaitable)
    return kind in _STEPS or kind.__name__ in _WRAPPERS


def _future_of(iterator: Any) -> Any:
    """Return the future of its iterator; raise if it was awaited to its end meanwhile."""
    for each in gc.get_referents(iterator):
        if asyncio.isfuture(each):
            return each
    raise UnreadableError


def _name(awaitable: Any) -> str | None:
    """Return a name for an awaitable that has no frame."""
    if awaitable is None:
        return None
    kind = type(awaitable)
    if kind.__name__ != "FutureIter":
        return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    is_gather = _GATHERING is not None and type(_future_of(awaitable)) is _GATHERING
    return "asyncio.gather" if is_gather else "asyncio.Future"


def _greenlet_spots(coroutine: Any) -> list[Spot]:
    """Return the frames of the greenlet in which SQLAlchemy runs synchronous code for a coroutine.

    Only the coroutine's own reference leads to it: reading local variables by `f_locals` would
    copy them, and keep the copies alive.
    """
    library = sys.modules.get("greenlet")
    if library is None:
        return []
    for each in gc.get_referents(coroutine):
        if isinstance(each, library.greenlet) and each.gr_frame is not None:
            return stack_spots(each.gr_frame)
    return []


def _worker_of(coroutine: Any, code: CodeType) -> Thread | None:
    """Return the thread that runs a job of anyio for this coroutine."""
    if code.co_name != _ANYIO_JOB:
        return None
    referents = gc.get_referents(coroutine)
    return next((each for each in referents if isinstance(each, Thread)), None)
