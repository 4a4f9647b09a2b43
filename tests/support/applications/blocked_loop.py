"""A program whose event loop is idle for a while, and is then blocked by one of its functions.

Its arguments are an event loop, the DSN of a PostgreSQL and an endpoint. It prints when it began to
block the loop, by `time.monotonic`.
"""

import asyncio
import sys
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import poolscope
from support.processes.event_loops import run_on

IDLE_S = 2.5
BLOCKED_S = 3.0


def render_report() -> None:
    """Do what a library for documents does."""
    print(time.monotonic(), flush=True)  # noqa: T201 - the test reads it
    time.sleep(BLOCKED_S)


async def work(dsn: str) -> None:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    other = asyncio.create_task(asyncio.sleep(3600))  # a loop with one task delays nobody else
    await asyncio.sleep(IDLE_S)
    render_report()
    await asyncio.sleep(0)
    other.cancel()
    await engine.dispose()


if __name__ == "__main__":
    poolscope.instrument(endpoint=sys.argv[3])
    run_on(sys.argv[1], work(sys.argv[2]))
