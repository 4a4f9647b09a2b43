"""A process that does nothing but run an event loop, and measures the CPU time of its threads.

Its arguments are an event loop, a variant and how many windows to measure. It prints `ready`; then,
for the line that it reads, the microseconds of CPU per second, as JSON: of the whole process, and
of the loop's and the watcher's thread alone. Both are the median of the windows.
"""

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Iterable
from statistics import median

from sqlalchemy import QueuePool, create_engine

import poolscope
from benchmarks.cases import NoOpConnection
from benchmarks.variants import BARE, NOWHERE, OURS
from benchmarks.worker import READY
from support.processes.event_loops import run_on

UNWATCHED = "poolscope, unwatched loop"
"""`poolscope.instrument()` that knows no event loop; the rest of its threads' work is the same."""

IDLE_VARIANTS = (BARE.name, UNWATCHED, OURS.name)
SETTLES_S = 3.0
"""Until all threads have started and the loop was asked for the first time."""

WINDOW_S = 5.0
"""An idle loop is asked once in it."""

WATCHING = ("MainThread", "poolscope-watcher")
"""The threads that the loop watch runs in. The pusher's is left out: it would only add noise."""


def instrument(variant: str) -> None:
    """Instrument this process, or leave it bare."""
    if variant == BARE.name:
        return
    logging.getLogger("poolscope").disabled = True  # it cannot push
    handle = poolscope.instrument(endpoint=NOWHERE, metrics="exporter", push_interval_s=300)
    assert handle is not None
    if variant == UNWATCHED:
        handle.watcher.known_loops.note_running_loop = _nothing  # type: ignore[method-assign]


def _nothing() -> None:
    """Do nothing: what is called instead of noting a loop."""


async def measure(windows: int) -> None:
    """Use a pool once, and do nothing any more."""
    engine = create_engine(
        "sqlite://", poolclass=QueuePool, creator=NoOpConnection, _initialize=False
    )
    engine.pool.connect().close()
    other = asyncio.create_task(asyncio.sleep(3600))  # as applications have
    await asyncio.sleep(SETTLES_S)
    _write(READY)
    await asyncio.to_thread(sys.stdin.readline)
    process_us, watch_us = [], []
    for _ in range(windows):
        process_s, threads_s = time.process_time(), _cpu_s(WATCHING)
        await asyncio.sleep(WINDOW_S)
        watch_us.append((_cpu_s(WATCHING) - threads_s) / WINDOW_S * 1e6)
        process_us.append((time.process_time() - process_s) / WINDOW_S * 1e6)
    _write(json.dumps({"process": median(process_us), "watch": median(watch_us)}))
    other.cancel()


def _cpu_s(names: Iterable[str]) -> float:
    """Return the CPU time of the threads with these names (not on every system)."""
    idents = [each.ident for each in threading.enumerate() if each.name in names and each.ident]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    instrument(sys.argv[2])
    run_on(sys.argv[1], measure(int(sys.argv[3])))
