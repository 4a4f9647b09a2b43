"""Measure the CPU of looks at 0, 20 and 200 connections: of one look, and of the watching thread.

All times are CPU times of threads, so other programs change them only by way of the caches.
"""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import enumerate as running_threads
from typing import Any, Final

from poolscope.recording.pool import PoolConfiguration, PoolState
from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.holder_watch import PROFILE_HZ
from poolscope.watching.occupancy import Occupancy
from poolscope.watching.sampling import BUDGET
from poolscope.watching.watcher import Watcher
from support.applications.holding import HeldPool, NoReader

OUT: Final = (0, 20, 200)
DEPTH: Final = 17
"""Frames of a request of FastAPI with a session and a call of httpx."""

LOOKS: Final = 100
SETTLES_S: Final = 3.0
"""Until the watching thread knows what a look costs."""

WINDOW_S: Final = 10.0
WINDOWS: Final = 3
"""In each of them, a process with looks and one without are watched at the same time."""


class FullPool(NoReader):
    """The reader of a pool without a free place, so that it is under pressure."""

    def state(self, slots: object) -> PoolState:
        """Return that a connection is used."""
        return PoolState(used=1, idle=0)

    def configuration(self) -> PoolConfiguration:
        """Return that there is no further place."""
        return PoolConfiguration("held", "none", max=1)


@dataclass(frozen=True, slots=True)
class LookCost:
    """The CPU of one look in seconds, the looks per second, and shares of a core by the thread."""

    look_s: float
    looks_hz: float
    with_looks: float
    without_looks: float


async def deep(depth: int, event: asyncio.Event) -> None:
    """Wait under so many frames."""
    if depth:
        await deep(depth - 1, event)
    else:
        await event.wait()


async def measure(out: int) -> LookCost:
    """Return the cost of looks at so many connections of a full pool."""
    pool, event = HeldPool(FullPool()), asyncio.Event()

    async def holder() -> None:
        pool.take()
        await deep(DEPTH, event)

    tasks = [asyncio.create_task(holder()) for _ in range(out)]
    await asyncio.sleep(0)
    cost_s = median(await asyncio.to_thread(_look, pool))
    shares = [[await _watched(pool, is_on) for is_on in (True, False)] for _ in range(WINDOWS)]
    event.set()
    await asyncio.gather(*tasks)
    with_looks, without_looks = zip(*shares, strict=True)
    return LookCost(
        cost_s,
        median(rate_hz for _, rate_hz in with_looks),
        median(share for share, _ in with_looks),
        median(share for share, _ in without_looks),
    )


def _look(pool: HeldPool) -> list[float]:
    looks, occupancy = HolderLooks(pool.registry, dict), Occupancy()
    costs_s = []
    for number in range(LOOKS):
        began_s = time.thread_time()
        occupancy.add_look(looks.look_at_owners(float(number)), looks, 0.1)
        costs_s.append(time.thread_time() - began_s)
    return costs_s


async def _watched(pool: HeldPool, is_on: bool) -> tuple[float, float]:
    """Return the share of a core that the watching thread takes, and its looks per second."""
    with _watcher(pool, is_on) as looked:
        await asyncio.sleep(SETTLES_S)
        began_s, before = _cpu_s(), len(looked)
        await asyncio.sleep(WINDOW_S)
        return (_cpu_s() - began_s) / WINDOW_S, (len(looked) - before) / WINDOW_S


@contextmanager
def _watcher(pool: HeldPool, is_on: bool) -> Iterator[list[None]]:
    """Watch the pool; yield a list with an item for each look."""
    watcher = Watcher(pool.registry, is_looking=is_on, profile_hz=PROFILE_HZ)
    looks, looked = watcher.holders.looks, list[None]()
    look_once = looks.look_at_owners

    def look_and_count(now_s: float) -> Any:
        looked.append(None)
        return look_once(now_s)

    looks.look_at_owners = look_and_count  # type: ignore[method-assign] # this object's alone
    watcher.start()
    yield looked
    watcher.stop()


def _cpu_s() -> float:
    """Return the CPU time of the watching thread (not on every system)."""
    [ident] = [each.ident for each in running_threads() if each.name == "poolscope-watcher"]
    return time.clock_gettime(time.pthread_getcpuclockid(ident or 0))


def main() -> None:
    """Print a table with one line for each number of connections."""
    write = sys.stdout.write
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    write(f"Python {platform.python_version()}; {os.cpu_count()} processors; load {load}.\n\n")
    write("| connections out | one look | looks per second | watching thread, of a core |")
    write(" without looks | looks, budget | |\n|---:|---:|---:|---:|---:|---:|---|\n")
    for out in OUT:
        cost = asyncio.run(measure(out))
        looks = cost.with_looks - cost.without_looks
        write(
            f"| {out} | {cost.look_s * 1e6:.0f} µs | {cost.looks_hz:.1f} | {cost.with_looks:.2%}"
            f" | {cost.without_looks:.2%} | {looks:.2%}, ≤ {BUDGET:.1%}"
            f" | {'within' if looks <= BUDGET else '**over**'} |\n"
        )


if __name__ == "__main__":
    main()
