"""Find the frame of a poolscope function around a blocked caller, and the frame outside a pool.

Only for callers that are blocked anyway, because it walks the stack.
"""

from collections.abc import Container
from types import CodeType, FrameType
from typing import Any


def frame_running(codes: Container[CodeType], frame: FrameType | None) -> FrameType | None:
    """Return the first frame, from `frame` outwards, that runs one of `codes`; None without one."""
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame


def frame_outside(made: Any, frame: FrameType | None) -> FrameType | None:
    """Return the first frame, from `frame` outwards, that is not a method of the object `made`.

    An application's pool class calls the `__init__` of the library's class. That line makes every
    pool of the class, so it explains none of them.
    """
    while frame is not None and frame.f_locals.get("self") is made:
        frame = frame.f_back
    return frame
