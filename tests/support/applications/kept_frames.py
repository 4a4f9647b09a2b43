"""Find frames that something keeps alive, and what poolscope's own objects refer to."""

import gc
import sys
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, TracebackType
from typing import Any

OWNERS = (AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType, FrameType)
"""What refers to a frame because the frame is a part of it."""

CONTAINERS = (dict, list, tuple, set, frozenset)


def keepers_of_frames() -> dict[int, str]:
    """Return the objects that refer to the frame of an ended function and do not own it, by id.

    CPython's collector does not know the frame of a function that still runs (3.11).

    A look that runs in another thread just now is found, too.
    """
    gc.collect()
    frames = [each for each in gc.get_objects() if type(each) is FrameType]
    here = sys._getframe()
    return {
        id(each): f"{type(each).__module__}.{type(each).__qualname__}"
        for each in gc.get_referrers(*frames)
        if each is not frames and each is not here and not _owns_frame(each)
    }


def _owns_frame(found: Any) -> bool:
    return isinstance(found, OWNERS) or type(found).__name__ == "greenlet"


def live_things_of_poolscope() -> dict[int, str]:
    """Return the frames, tracebacks, coroutines and tasks that poolscope refers to, by id.

    The search begins at all objects of poolscope's classes, and goes through them and containers.
    A value is the way to the object, by types. A look that runs just now is found, too.
    """
    return {
        id(each): way
        for each, way in _reachable()
        if isinstance(each, OWNERS) or type(each).__qualname__ == "Task"
    }


def _reachable() -> Iterator[tuple[Any, str]]:
    todo = [(each, "") for each in gc.get_objects() if _is_ours(each)]
    reached = {id(todo)}
    while todo:
        each, before = todo.pop()
        if id(each) in reached:
            continue
        reached.add(id(each))
        way = f"{before} > {type(each).__qualname__}"
        yield each, way
        if _is_ours(each) or type(each) in CONTAINERS:
            todo += [(inner, way) for inner in gc.get_referents(each)]


def _is_ours(found: Any) -> bool:
    kind = type(found)
    return kind is not type and str(kind.__module__).partition(".")[0] == "poolscope"
