"""Look at processes from outside: are they alive, who is left, and when does something hold."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

GIVE_UP_S = 60.0
"""When what has not come to be is taken for broken: far longer than a busy machine takes."""

FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_GROWTH = 0.02, 0.2, 1.5
"""Between two questions: who asks for seconds, fifty times a second, slows what it waits for."""


def wait_until(is_so: Callable[[], bool], within_s: float = GIVE_UP_S) -> bool:
    """Wait for the condition; return whether it came to hold within `within_s` seconds."""
    deadline = time.monotonic() + within_s
    pause_s = FIRST_PAUSE_S
    # Asked once a turn: what held a moment ago may not when it is asked again.
    while not (holds := is_so()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)
    return holds


def kill_namespace(unshare: subprocess.Popen[bytes]) -> None:
    """End `unshare --pid --fork`, and all processes of its namespace with their process 1.

    The kernel drops the signal of `--kill-child` when process 1 changes its user.
    """
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    found: list[str] = []

    def is_forked() -> bool:
        found[:] = children.read_text().split() if unshare.poll() is None else []
        return bool(found) or unshare.poll() is not None

    assert wait_until(is_forked)
    for child in found:
        os.kill(int(child), signal.SIGKILL)
    unshare.kill()
    unshare.wait()


def is_alive(pid: int) -> bool:
    """Tell whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def processes_that_mention(text: str) -> dict[int, str]:
    """Return the command lines, by process id, of those with `text` in them or their environment.

    Reads /proc: Linux only.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is somebody else's
        if text.encode() in command + environment and int(folder.name) != os.getpid():
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found
