"""Wait until a program that was started answers, and say why where it does not."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LOOK_INTERVAL_S = 0.02


class ProgramError(Exception):
    """A program ended or did not answer in time; the message has its log."""


def wait_until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], bool], log: Path, within_s: float
) -> None:
    """Return once the program is ready; raise ProgramError where it ends or takes too long."""
    deadline_s = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline_s:
        if is_ready():
            return
        time.sleep(LOOK_INTERVAL_S)
    ended = process.poll()
    what = f"was not ready within {within_s:.0f} s" if ended is None else f"ended with {ended}"
    raise ProgramError(f"{process.args!r} {what}; its log:\n{log.read_text(errors='replace')}")
