"""Do a part of a test in a forked child, which is always reaped."""

import json
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

ENDS_WITHIN_S = 60


def in_a_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a forked child, as JSON allows it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work_and_end(work, writing)
    try:
        os.close(writing)
        with os.fdopen(reading) as answer:
            found = json.loads(answer.read() or '{"error": "the child ended without an answer"}')
    finally:
        os.waitpid(pid, 0)
    assert "error" not in found, found["error"]
    return found["result"]


def _work_and_end(work: Callable[[], Any], writing: int) -> None:
    """Answer the parent and end, without anything that an ordinary end of a process does."""
    try:
        signal.alarm(ENDS_WITHIN_S)
        answer = {"result": work()}
    except BaseException:  # noqa: BLE001 - the parent raises it
        answer = {"error": traceback.format_exc()}
    try:
        os.write(writing, json.dumps(answer).encode())
    finally:
        os._exit(0)
