"""Find the frames of who asked a pool for a connection, without looking at SQLAlchemy's own."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy import Engine

Frames = tuple[FrameType, FrameType | None]
"""From which frames on to look for the application: in this stack, then in that which awaits it."""


def code_of(function: Any) -> Any:
    """Return the code of a function; None, which is no frame's, where it has none."""
    return getattr(function, "__code__", None)


RAW_CONNECTION, ENGINE_CONNECT = code_of(Engine.raw_connection), code_of(Engine.connect)

FRAMES_TO_CONNECT = 3
"""Frames from `Engine.connect` to a pool's `connect`: no use in looking at each."""


def make_find_frames() -> Callable[[], Frames]:
    """Return what finds who awaits the greenlet that an asynchronous engine's pool runs in.

    It is to be called by what a pool calls, or stands for. Where a coroutine of SQLAlchemy made the
    greenlet, what runs inside is SQLAlchemy's too, unless that is `run_sync`: no use in looking.
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
        except AttributeError:  # no parent, or nothing awaits it
            frame = None
        return sys._getframe(1).f_back or sys._getframe(1), frame

    return find_frames
