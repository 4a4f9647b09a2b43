"""The event loops that applications run on, for processes of their own: asyncio's and uvloop's."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

ASYNCIO, UVLOOP = "asyncio", "uvloop"
EVENT_LOOPS = (ASYNCIO,) if sys.platform == "win32" else (ASYNCIO, UVLOOP)
"""There is no uvloop for Windows."""

UVLOOP_FOLDER = Path(sys.prefix) / "uvloop"
"""Where make installs uvloop; in the environment itself, uvicorn would take it for every test."""


def has_event_loop(name: str) -> bool:
    """Return whether processes of this environment can run on an event loop."""
    return name == ASYNCIO or UVLOOP_FOLDER.is_dir()


def python_path(event_loop: str, *folders: Path) -> str:
    """Return the PYTHONPATH of a process that runs on an event loop: its folder, and ours."""
    assert has_event_loop(event_loop), f"run `make {UVLOOP_FOLDER.parent.name}/{UVLOOP}`"
    own = [UVLOOP_FOLDER] if event_loop == UVLOOP else []
    return os.pathsep.join(filter(None, [*map(str, [*own, *folders]), os.getenv("PYTHONPATH")]))


def run_on(event_loop: str, main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on an event loop, as applications do; in a process with its `python_path`."""
    if event_loop == ASYNCIO:
        asyncio.run(main)
    else:
        import uvloop  # type: ignore[import-not-found] # noqa: PLC0415 - only some processes have it

        uvloop.run(main)
