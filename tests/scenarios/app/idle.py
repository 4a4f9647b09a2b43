"""Hold connections whose server has nothing to do: idle, stalled, or without a session at all."""

import asyncio
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import poolscope
from scenarios.app.pids import a_session_with
from scenarios.app.pools import (
    DIRECT,
    KEPT,
    WAYS,
    a_psycopg_pool,
    an_async_engine,
    an_asyncpg_pool,
    an_engine,
)

QUERY = text("SELECT 1")
SESSION = "SELECT FROM pg_stat_activity WHERE pid = %s"
FOREVER_S = 600
OLD_ENOUGH_S = 1.5
"""A connection must differ from a session by more than a second for their ages to tell."""
BESIDE_LOST: asyncio.Queue[AsyncEngine] = asyncio.Queue()
BESIDE_REUSED: asyncio.Queue[AsyncEngine] = asyncio.Queue()


async def idle_in_a_transaction() -> None:
    async with an_async_engine("idle_in_a_transaction").connect() as connection:
        await connection.execute(QUERY)
        await asyncio.sleep(FOREVER_S)


async def idle_in_an_aborted_transaction() -> None:
    async with an_async_engine("idle_in_an_aborted_transaction").connect() as connection:
        try:
            await connection.execute(text("SELECT 1/0"))
        except DBAPIError:
            await asyncio.sleep(FOREVER_S)


async def held_after_a_query() -> None:
    pool = await an_asyncpg_pool("held_after_a_query")
    async with pool.acquire() as connection:
        await connection.fetchval("SELECT 1")
        await asyncio.sleep(FOREVER_S)


async def held_and_never_used() -> None:
    async with an_async_engine("held_and_never_used").connect():
        await asyncio.sleep(FOREVER_S)


async def held_without_track_activities() -> None:
    async with an_async_engine("held_without_track_activities").connect() as connection:
        await connection.execute(text("SET track_activities = off"))
        await asyncio.sleep(FOREVER_S)


async def held_behind_a_translated_address() -> None:
    pool = await an_asyncpg_pool("held_behind_a_translated_address", "nat")
    async with pool.acquire():
        await asyncio.sleep(FOREVER_S)


async def held_on_an_unknown_server() -> None:
    pool = await an_asyncpg_pool("held_on_an_unknown_server", "stranger")
    async with pool.acquire():
        await asyncio.sleep(FOREVER_S)


async def listens() -> None:
    pool = await an_asyncpg_pool("listens")
    with poolscope.long_lived():
        connection = await pool.acquire()
    KEPT.append(connection)
    await connection.add_listener("news", print)
    await asyncio.sleep(FOREVER_S)


async def stalled_in_a_copy() -> None:
    """Begin to load rows, and send none."""
    pool = await a_psycopg_pool("stalled_in_a_copy")
    async with (
        pool.connection() as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY scenario FROM STDIN"),
    ):
        await asyncio.sleep(FOREVER_S)


async def stalled_in_a_result() -> None:
    """Ask for many rows, and read one."""
    pool = await a_psycopg_pool("stalled_in_a_result")
    many = "SELECT repeat('x', 100000) FROM generate_series(1, 1000)"
    async with pool.connection() as connection, connection.cursor() as cursor:
        async for _ in cursor.stream(many):
            await asyncio.sleep(FOREVER_S)


async def end_session(pid: int) -> None:
    """End a session of the server, and see that it is gone."""
    async with await psycopg.AsyncConnection.connect(WAYS[DIRECT], autocommit=True) as admin:
        # Before 14, this function has no second argument for the time to wait.
        await admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
        while (await admin.execute(SESSION, (pid,))).rowcount:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)


async def own_pid(connection: AsyncConnection) -> int:
    return int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0)


async def lost() -> None:
    """Share the pool with a connection that lives."""
    engine = an_async_engine("lost", size=2)
    async with engine.connect() as connection:
        BESIDE_LOST.put_nowait(engine)
        await end_session(await own_pid(connection))
        await asyncio.sleep(FOREVER_S)


async def held_beside_a_lost_one() -> None:
    engine = await BESIDE_LOST.get()
    async with engine.connect():
        await asyncio.sleep(FOREVER_S)


async def lost_before_any_was_linked() -> None:
    async with an_async_engine("lost_before_any_was_linked").connect() as connection:
        await end_session(await own_pid(connection))
        await asyncio.sleep(FOREVER_S)


async def lost_and_its_pid_reused() -> None:
    engine = an_async_engine("lost_and_its_pid_reused", size=2)
    await (await engine.connect()).close()
    await asyncio.sleep(OLD_ENOUGH_S)
    async with engine.connect() as connection:
        BESIDE_REUSED.put_nowait(engine)
        pid = await own_pid(connection)
        await end_session(pid)
        KEPT.append(await a_session_with(pid, WAYS[DIRECT]))
        await asyncio.sleep(FOREVER_S)


async def held_beside_a_reused_pid() -> None:
    engine = await BESIDE_REUSED.get()
    async with engine.connect():
        await asyncio.sleep(FOREVER_S)


class WrappedConnection:
    """A driver's connection inside an object of somebody else's, as tracing libraries make them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.__dict__["wrapped"] = connection

    @property  # type: ignore[misc]  # so do proxies of objects lie
    def __class__(self) -> type:
        return type(self.__dict__["wrapped"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["wrapped"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["wrapped"], name, value)


async def held_through_a_wrapped_driver() -> None:
    engine = an_engine(
        "held_through_a_wrapped_driver",
        creator=lambda: WrappedConnection(psycopg.connect(WAYS[DIRECT])),
    )
    KEPT.append(await asyncio.to_thread(engine.connect))
    await asyncio.sleep(FOREVER_S)


EARLY: list[Any] = []


def connect_early() -> None:
    """Open a connection before the app is instrumented: nobody saw when."""
    engine = an_engine("held_since_before_we_looked", "nat")
    engine.connect().close()
    EARLY.append(engine)


async def held_since_before_we_looked() -> None:
    KEPT.append(await asyncio.to_thread(EARLY[0].connect))
    await asyncio.sleep(FOREVER_S)


BEHAVIOURS = (
    idle_in_a_transaction,
    idle_in_an_aborted_transaction,
    held_after_a_query,
    held_and_never_used,
    held_without_track_activities,
    held_behind_a_translated_address,
    held_on_an_unknown_server,
    held_through_a_wrapped_driver,
    held_since_before_we_looked,
    listens,
    stalled_in_a_copy,
    stalled_in_a_result,
    lost,
    held_beside_a_lost_one,
    lost_before_any_was_linked,
    lost_and_its_pid_reused,
    held_beside_a_reused_pid,
)
