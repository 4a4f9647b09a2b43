"""Measure the CPU of a look at 0, 20 and 200 connections, and the share of a core."""

import asyncio
import sys
import time
from statistics import median
from typing import Final

from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.holder_watch import PROFILE_HZ
from poolscope.watching.occupancy import Occupancy
from poolscope.watching.sampling import LookSchedule
from support.applications.holding import HeldPool

OUT: Final = (0, 20, 200)
DEPTH: Final = 17
"""Frames of a request of FastAPI with a session and a call of httpx."""

LOOKS: Final = 100


async def deep(depth: int, event: asyncio.Event) -> None:
    """Wait under so many frames."""
    if depth:
        await deep(depth - 1, event)
    else:
        await event.wait()


async def measure(out: int) -> tuple[float, float]:
    """Return the CPU of a look in seconds, and the share of a core under pressure."""
    pool, event = HeldPool(), asyncio.Event()

    async def holder() -> None:
        pool.take()
        await deep(DEPTH, event)

    tasks = [asyncio.create_task(holder()) for _ in range(out)]
    await asyncio.sleep(0)
    costs_s = await asyncio.to_thread(_look, pool)
    event.set()
    await asyncio.gather(*tasks)
    schedule = LookSchedule(PROFILE_HZ, lambda low, high: (low + high) / 2)
    schedule.is_pressed = True
    schedule.note_cost(cost_s := median(costs_s))
    return cost_s, cost_s * schedule.rate_hz


def _look(pool: HeldPool) -> list[float]:
    looks, occupancy = HolderLooks(pool.registry, dict), Occupancy()
    costs_s = []
    for number in range(LOOKS):
        began_s = time.thread_time()
        occupancy.add_look(looks.look_at_owners(float(number)), looks, 0.1)
        costs_s.append(time.thread_time() - began_s)
    return costs_s


def main() -> None:
    """Print one line for each number of connections."""
    for out in OUT:
        cost_s, share = asyncio.run(measure(out))
        sys.stdout.write(f"{out:4} out: {cost_s * 1e6:7.0f} µs a look, {share:.2%} of a core\n")


if __name__ == "__main__":
    main()
