"""Programs without HTTP that use connections in the wrong place; made anew from users' stories.

The argument says which. `SCENARIO_WAYS` says where they lead.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Engine, create_engine, text

import poolscope
from scenarios.app.pools import DIRECT, WAYS, an_async_engine

poolscope.instrument()

FORKED = "engine_shared_after_fork"
LOOPS = "one_engine_in_many_loops"
LASTS_S = 40
CHILDREN = 3
CHILD_LASTS_S = 8


def fork_with_a_used_pool() -> None:
    """Warm the pool up as an import does, and fork as a prefork server does, again and again."""
    url = WAYS[DIRECT].replace("postgresql://", "postgresql+psycopg2://", 1)
    engine = create_engine(url, pool_size=2, pool_logging_name=FORKED)
    use(engine)
    for _ in range(CHILDREN):
        fork_a_child(engine)
    # The parent does not use its pool any more, and is no part of what is looked at.
    poolscope.name_pool(engine, "pool_of_the_parent")
    while True:
        os.wait()
        fork_a_child(engine)


def fork_a_child(engine: Engine) -> None:
    if os.fork() == 0:
        poolscope.name_pool(engine, FORKED)
        work_in_a_child(engine)


def work_in_a_child(engine: Engine) -> None:
    """Use the parent's connection for a while; never returns."""
    signal.alarm(CHILD_LASTS_S)  # also ends a child that waits for an answer that another one got
    while True:
        with suppress(Exception):  # the wrong answer, a broken protocol: it varies
            use(engine)
        time.sleep(0.05)


def use(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM pg_sleep(0.01)"))


def run_each_job_in_a_loop() -> None:
    """Run each job by `asyncio.run`, with one engine for all, as workers of a task queue do."""
    engine = an_async_engine(LOOPS, size=3, pool_timeout=5)

    async def job() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    ends_at_s = time.monotonic() + LASTS_S
    while time.monotonic() < ends_at_s:
        with suppress(Exception):  # "attached to a different loop", "Event loop is closed"
            asyncio.run(job())
        time.sleep(1.5)


JOBS: dict[str, Callable[[], None]] = {
    FORKED: fork_with_a_used_pool,
    LOOPS: run_each_job_in_a_loop,
}

if __name__ == "__main__":
    JOBS[sys.argv[1]]()
