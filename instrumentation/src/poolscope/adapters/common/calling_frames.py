"""Find the call of ours that a blocked caller is in, from the frames above it.

For the blocked path only: it walks the stack.
"""

from collections.abc import Container
from types import CodeType, FrameType


def frame_running(codes: Container[CodeType], frame: FrameType | None) -> FrameType | None:
    """Return the first frame, from `frame` outwards, that runs one of `codes`; None without one."""
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame
