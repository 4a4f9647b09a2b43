"""Hold connections whose server works, or would: slow queries, locks, many short statements."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from scenarios.app.pools import (
    DIRECT,
    KEPT,
    WAYS,
    WORKER_IS_BUSY,
    an_async_engine,
    an_asyncpg_pool,
    an_engine,
)

SLOW = text("SELECT pg_sleep(600)")
SHORT = text("SELECT pg_sleep(0.05)")
LOCKED = asyncio.Event()


async def run_slowly(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(SLOW)


async def slow_query() -> None:
    await run_slowly(an_async_engine("slow_query"))


def slow_query_in_a_worker_thread() -> None:
    WORKER_IS_BUSY.set()
    with an_engine("slow_query_in_a_worker_thread").connect() as connection:
        connection.execute(SLOW)


async def slow_query_after_the_response() -> None:
    KEPT.append(asyncio.create_task(run_slowly(an_async_engine("slow_query_after_the_response"))))


async def slow_query_of_a_request_that_gave_up() -> None:
    """Answer with an error while the query goes on in a task of its own."""
    engine = an_async_engine("slow_query_of_a_request_that_gave_up")
    KEPT.append(task := asyncio.create_task(run_slowly(engine)))
    await asyncio.wait_for(asyncio.shield(task), 0.5)


async def slow_query_in_a_wait_for() -> None:
    pool = await an_asyncpg_pool("slow_query_in_a_wait_for")
    async with pool.acquire() as connection:
        await asyncio.wait_for(connection.execute("SELECT pg_sleep(600)"), 900)


async def slow_query_while_streaming() -> StreamingResponse:
    engine = an_async_engine("slow_query_while_streaming")

    async def body() -> AsyncIterator[str]:
        yield "begin"
        await run_slowly(engine)

    return StreamingResponse(body())


async def holds_the_lock() -> None:
    async with an_async_engine("holds_the_lock").begin() as connection:
        await connection.execute(text("UPDATE scenario SET state = 'mine' WHERE id = 1"))
        LOCKED.set()
        await asyncio.sleep(600)


async def blocked_by_a_checkout() -> None:
    engine = an_async_engine("blocked_by_a_checkout")
    await LOCKED.wait()
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE scenario SET state = 'mine too' WHERE id = 1"))


async def blocked_by_another_session() -> None:
    other = await psycopg.AsyncConnection.connect(WAYS[DIRECT])
    KEPT.append(other)
    await other.execute("SELECT FROM scenario WHERE id = 2 FOR UPDATE")
    async with an_async_engine("blocked_by_another_session").begin() as connection:
        await connection.execute(text("UPDATE scenario SET state = 'mine' WHERE id = 2"))


async def work(engine: AsyncEngine) -> None:
    """Run short statements on one connection, one after another, each committed."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        while True:
            await connection.execute(SHORT)


async def at_work() -> None:
    await work(an_async_engine("at_work"))


async def at_work_in_a_large_pool() -> None:
    await work(an_async_engine("at_work_in_a_large_pool", size=5))


async def at_work_at_the_limit_of_its_role() -> None:
    await work(an_async_engine("at_work_at_the_limit_of_its_role", "limited"))


async def blocks_its_loop() -> None:
    """Take connections of a synchronous pool on the event loop, shortly each."""
    engine: Engine = an_engine("blocks_its_loop")
    while True:
        with engine.connect():
            await asyncio.sleep(0.1)


async def cannot_connect() -> None:
    """Ask again and again for a database that is not there."""
    engine = an_async_engine("cannot_connect", connect_args={"database": "not_there"})
    while True:
        with suppress(Exception):
            await engine.connect()
        await asyncio.sleep(0.2)


async def waits_for_a_connection_to_open() -> None:
    """Connect to an address that accepts and never answers."""
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    KEPT.append(silent)
    port = silent.sockets[0].getsockname()[1]
    nowhere = {"host": "127.0.0.1", "port": port, "timeout": 900}
    await an_async_engine("waits_for_a_connection_to_open", connect_args=nowhere).connect()


async def too_many_for_their_pool() -> None:
    """Work shortly and often, ten at a time over one connection."""
    engine = an_async_engine("too_many_for_their_pool", pool_timeout=900)

    async def work_for_ever() -> None:
        while True:
            async with engine.connect():
                await asyncio.sleep(0.1)

    await asyncio.gather(*(work_for_ever() for _ in range(10)))


async def held_while_another_waits() -> None:
    """Hold the only connection of a pool that somebody else waits for."""
    engine = an_async_engine("held_while_another_waits", pool_timeout=900)
    async with engine.connect():
        KEPT.append(asyncio.create_task(run_slowly(engine)))
        await asyncio.sleep(900)


BEHAVIOURS = (
    slow_query,
    slow_query_in_a_worker_thread,
    slow_query_after_the_response,
    slow_query_of_a_request_that_gave_up,
    slow_query_in_a_wait_for,
    slow_query_while_streaming,
    holds_the_lock,
    blocked_by_a_checkout,
    blocked_by_another_session,
    at_work,
    at_work_in_a_large_pool,
    at_work_at_the_limit_of_its_role,
    blocks_its_loop,
    cannot_connect,
    waits_for_a_connection_to_open,
    too_many_for_their_pool,
    held_while_another_waits,
)
