"""Find the frames of a pool's caller, without a search through SQLAlchemy's frames."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy import Engine

Frames = tuple[FrameType, FrameType | None]
"""The frames at which to start the search: in this stack, then in the stack that awaits it."""


def code_of(function: Any) -> Any:
    """Return the code of a function; None, which is the code of no frame, if it has none."""
    return getattr(function, "__code__", None)


RAW_CONNECTION, ENGINE_CONNECT = code_of(Engine.raw_connection), code_of(Engine.connect)

FRAMES_TO_CONNECT = 3
"""The number of frames from `Engine.connect` to a pool's `connect`, which can be skipped."""


def make_find_frames() -> Callable[[], Frames]:
    """Return a function that finds the frame that awaits an asynchronous engine's greenlet.

    Call it from a function that a pool calls, or that replaces such a function. If a coroutine of
    SQLAlchemy made the greenlet, all code in the greenlet is SQLAlchemy's, so it is not searched.
    The exception is `run_sync`, which runs code of the application.
    """
    try:
        from greenlet import getcurrent  # noqa: PLC0415 - only asynchronous engines need greenlet
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession  # noqa: PLC0415 - as above
        from sqlalchemy.util.concurrency import greenlet_spawn  # noqa: PLC0415 - as above
    except ImportError:
        return lambda: (sys._getframe(1).f_back or sys._getframe(1), None)
    current: Callable[[], Any] = getcurrent
    spawn, start, enter = map(
        code_of, (greenlet_spawn, AsyncConnection.start, AsyncConnection.__aenter__)
    )
    own_files = {
        getattr(code_of(function), "co_filename", None)
        for function in (AsyncConnection.start, AsyncSession.execute)
    }

    def find_frames() -> Frames:
        try:
            frame = current().parent.gr_frame
            if frame.f_code is spawn:
                frame = frame.f_back
                code = frame.f_code
                if code is start:
                    frame = frame.f_back
                    return (frame.f_code is enter and frame.f_back) or frame, None
                if code.co_filename in own_files and code.co_name != "run_sync":
                    return frame.f_back or frame, None
        except AttributeError:  # there is no parent, or nothing awaits it
            frame = None
        return sys._getframe(1).f_back or sys._getframe(1), frame

    return find_frames
