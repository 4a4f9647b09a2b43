"""Take connections that nobody is left to return: in a request, a task and a thread."""

import asyncio
import threading
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from scenarios.app.pools import (
    KEPT,
    WORKER_IS_BUSY,
    a_psycopg_pool,
    an_async_engine,
    an_asyncpg_pool,
    an_engine,
)

QUERY = text("SELECT 1")
NO_QUERY = text("SELECT 1/0")


async def leak_in_a_transaction() -> None:
    connection = await an_async_engine("leak_in_a_transaction").connect()
    KEPT.append(connection)
    await connection.execute(QUERY)


async def leak_in_an_aborted_transaction() -> None:
    connection = await an_async_engine("leak_in_an_aborted_transaction").connect()
    KEPT.append(connection)
    with suppress(DBAPIError):
        await connection.execute(NO_QUERY)


async def leak_by_an_error() -> None:
    connection = await an_async_engine("leak_by_an_error").connect()
    KEPT.append(connection)
    await connection.execute(NO_QUERY)


async def leak_of_asyncpg() -> None:
    pool = await an_asyncpg_pool("leak_of_asyncpg")
    connection = await pool.acquire()
    KEPT.append(connection)
    await connection.fetchval("SELECT 1")


async def leak_of_psycopg_pool() -> None:
    pool = await a_psycopg_pool("leak_of_psycopg_pool")
    connection = await pool.getconn()
    KEPT.append(connection)
    await connection.execute("SELECT 1")


def leak_in_a_worker_thread() -> None:
    WORKER_IS_BUSY.wait()
    connection = an_engine("leak_in_a_worker_thread").connect()
    KEPT.append(connection)
    connection.execute(QUERY)


async def leak_behind_a_translated_address() -> None:
    connection = await an_async_engine("leak_behind_a_translated_address", "nat").connect()
    KEPT.append(connection)
    await connection.execute(QUERY)


async def leak_on_an_unknown_server() -> None:
    connection = await an_async_engine("leak_on_an_unknown_server", "stranger").connect()
    KEPT.append(connection)
    await connection.execute(QUERY)


async def leak_by_a_task() -> None:
    connection = await an_async_engine("leak_by_a_task").connect()
    KEPT.append(connection)
    await connection.execute(QUERY)


async def leak_by_a_thread() -> None:
    threading.Thread(target=take_in_a_thread, args=("leak_by_a_thread",)).start()


def take_in_a_thread(name: str) -> None:
    connection = an_engine(name).connect()
    KEPT.append(connection)
    connection.execute(QUERY)


async def at_start() -> None:
    """Leak where there is no request: nobody calls this by a route."""
    await asyncio.create_task(leak_by_a_task())


BEHAVIOURS = (
    leak_in_a_transaction,
    leak_in_an_aborted_transaction,
    leak_by_an_error,
    leak_of_asyncpg,
    leak_of_psycopg_pool,
    leak_in_a_worker_thread,
    leak_behind_a_translated_address,
    leak_on_an_unknown_server,
    leak_by_a_thread,
)
