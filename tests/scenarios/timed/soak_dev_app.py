"""The app of a soak, which reports what the looks at its holders left behind."""

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from queue import SimpleQueue
from typing import Any

from fastapi import FastAPI

from poolscope.instrumentation import active
from poolscope.watching.holder_looks import OpenUse
from scenarios.timed.soak_app import app
from support.applications.kept_frames import keepers_of_frames, live_things_of_poolscope

CHECKS = 2
PAUSE_S = 0.3
"""Between two checks: what the app itself does at one of them is over at the next."""

Found = tuple[dict[int, str], dict[int, str]]
"""What keeps frames, and what poolscope refers to, by id."""

_instrumentation = active()
assert _instrumentation is not None
_looks = _instrumentation.watcher.holders.looks
_look_once = _looks.look_at_owners
_looked: list[int] = []
_asked: SimpleQueue[Future[Found]] = SimpleQueue()


def look_at_owners(now_s: float) -> list[OpenUse]:
    """Look, and note at how many connections; before that, make the checks that are asked for.

    A look refers to the frames of all threads while it runs, and many of them never change. So it
    is its own thread that checks, between two looks.
    """
    while not _asked.empty():
        _asked.get().set_result((keepers_of_frames(), live_things_of_poolscope()))
    uses = _look_once(now_s)
    _looked.append(len(uses))
    return uses


_looks.look_at_owners = look_at_owners  # type: ignore[method-assign] # this object's alone


async def check_between_looks() -> Found:
    """Return what is found when no look runs."""
    asked: Future[Found] = Future()
    _asked.put(asked)
    return await asyncio.wrap_future(asked)


def in_both(found: dict[int, str], again: dict[int, str]) -> dict[int, str]:
    """Return what was found twice."""
    return {key: what for key, what in found.items() if key in again}


_lifespan = app.router.lifespan_context


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[Any]:
    """Switch asyncio's debug mode on: uvicorn starts its loop without it, also with `-X dev`."""
    asyncio.get_running_loop().set_debug(True)
    async with _lifespan(application) as state:
        yield state


app.router.lifespan_context = lifespan


@app.get("/looks")
async def show_looks() -> dict[str, Any]:
    """Return how many looks there were, and what all of several checks found."""
    kept, live = await check_between_looks()
    for _ in range(CHECKS):
        await asyncio.sleep(PAUSE_S)
        kept, live = map(in_both, (kept, live), await check_between_looks())
    assert _instrumentation is not None
    registry = _instrumentation.registry
    return {
        "looks": len(_looked),
        "looked_at": sum(_looked),
        "kept": sorted(kept.values()),
        "live": sorted(live.values()),
        "hook_errors": registry.hook_errors,
        "last_hook_error": registry.last_hook_error,
        "dev_mode": sys.flags.dev_mode,
        "debug": asyncio.get_running_loop().get_debug(),
    }
