"""Instrument every interpreter that a test suite starts, with settings that give poolscope work.

Python imports this module at its start. `PEERS_LOG` is the file for the starts and the contained
errors, `PEERS_ENDPOINT` the address that takes the pushes. poolscope starts its threads at the
first use of a pool. With `PEERS_THREADS_FIRST`, it starts them at once: after each of its tests,
Celery compares the threads with those from before the first one.
"""

import atexit
import json
import os
import traceback

import poolscope
from poolscope.recording.registry import Registry

ERRORS: list[str] = []


def write_line(**fields: object) -> None:
    """Append one JSON line; lines of several processes do not mix."""
    with open(os.environ["PEERS_LOG"], "a", encoding="utf-8") as log:  # noqa: PTH123 - pathlib is slow to import
        log.write(json.dumps(fields) + "\n")


def write_errors() -> None:
    """Append the contained errors; not when they happen, because a test may forbid to write."""
    for error in ERRORS:
        write_line(error=error)


def begin() -> None:
    """Instrument this process, and note each error that poolscope contains."""
    contain = Registry.contain

    def noted(self: Registry, error: Exception) -> None:
        ERRORS.append("".join(traceback.format_exception(error)))
        contain(self, error)

    Registry.contain = noted  # type: ignore[method-assign] # a hook into our own class
    atexit.register(write_errors)
    running = poolscope.instrument(
        endpoint=os.environ["PEERS_ENDPOINT"], push_interval_s=0.5, held_after_s=0, max_pools=1000
    )
    if running is not None and os.environ.get("PEERS_THREADS_FIRST"):
        running.start_threads()
    write_line(started=os.getpid())


begin()
