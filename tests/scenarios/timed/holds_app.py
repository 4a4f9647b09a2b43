"""A program whose pools are each kept full in one way, by holds of one length.

`SCENARIO_WAYS` says where the pools lead, `SCENARIO_HOLDS` which of them to make, as JSON: a list
of [way of holding, seconds, way to the server]. Callers ask without end.
"""

import asyncio
import json
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import poolscope
from scenarios.app.pools import DIRECT, WAYS, an_async_engine

poolscope.instrument()

SIZE = 4
WAIT_S = 1.5
"""How long callers wait at least: longer than is within reason, so that the pool is in trouble."""
STRANGER_S = 0.25
"""How long each stranger uses the only connection of a PgBouncer, one after another."""

QUERY = text("SELECT 1")
Hold = Callable[[AsyncConnection, float], Awaitable[None]]


async def slow_query(connection: AsyncConnection, held_s: float) -> None:
    await connection.execute(text("SELECT pg_sleep(:held_s)"), {"held_s": held_s})


async def lock(connection: AsyncConnection, held_s: float) -> None:
    """Wait for a lock that a stranger holds, and give up."""
    await connection.execute(text(f"SET LOCAL lock_timeout = {int(held_s * 1000)}"))
    await connection.execute(text("SELECT FROM scenario WHERE id = 2 FOR UPDATE"))


async def slow_upstream(connection: AsyncConnection, held_s: float) -> None:
    """Leave a transaction open while something else answers slowly."""
    await connection.execute(QUERY)
    await asyncio.sleep(held_s)


async def held_idle(connection: AsyncConnection, held_s: float) -> None:
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    await connection.execute(QUERY)
    await asyncio.sleep(held_s)


async def small_bouncer(connection: AsyncConnection, _: float) -> None:
    """Stand in PgBouncer's queue, behind the strangers."""
    await connection.execute(QUERY)


async def pool_too_small(connection: AsyncConnection, held_s: float) -> None:
    await slow_query(connection, held_s)


HOLDS: dict[str, Hold] = {
    hold.__name__: hold
    for hold in (slow_query, lock, slow_upstream, held_idle, small_bouncer, pool_too_small)
}


async def hold_the_lock() -> asyncpg.Connection:
    """Lock the row for as long as the connection that is returned is open."""
    connection = await asyncpg.connect(WAYS[DIRECT])
    await connection.transaction().start()
    await connection.execute("SELECT FROM scenario WHERE id = 2 FOR UPDATE")
    return connection


async def occupy(connection: asyncpg.Connection) -> None:
    while True:
        await connection.execute(f"SELECT pg_sleep({STRANGER_S})")


def an_engine(name: str, way: str) -> AsyncEngine:
    untracked = {"statement_cache_size": 0, "prepared_statement_name_func": str}
    return an_async_engine(name, way, SIZE, connect_args={} if way == DIRECT else untracked)


async def call_without_end(cause: str, held_s: float, way: str) -> None:
    engine, hold = an_engine(f"{cause}-{held_s:g}", way), HOLDS[cause]

    async def call() -> None:
        while True:
            with suppress(SQLAlchemyError):
                async with engine.connect() as connection:
                    # Callers that took their connections together must not stay in step.
                    await hold(connection, held_s * random.uniform(0.9, 1.1))

    # So many more than there are connections that each waits for its turn long enough.
    callers = SIZE + max(SIZE, round(SIZE * WAIT_S / held_s))
    await asyncio.gather(*(call() for _ in range(callers)))


async def main() -> None:
    """Call without end, once the lock is held and the strangers are connected.

    Until then, nothing would keep the callers: their pools would be too small for many short uses.
    """
    locking = await hold_the_lock()
    tasks: list[Coroutine[Any, Any, None]] = []
    for cause, held_s, way in json.loads(os.environ["SCENARIO_HOLDS"]):
        if way != DIRECT:
            strangers = [
                await asyncpg.connect(WAYS[way], statement_cache_size=0)
                for _ in range(int(held_s / STRANGER_S))
            ]
            tasks += map(occupy, strangers)
        tasks.append(call_without_end(cause, held_s, way))
    try:
        await asyncio.gather(*tasks)
    finally:
        await locking.close()


if __name__ == "__main__":
    asyncio.run(main())
