"""Hold connections through a PgBouncer: of ours, which the exporter asks, in each of its modes."""

import asyncio

from scenarios.app.pools import KEPT, a_psycopg_pool, an_asyncpg_pool

FOREVER_S = 600
TAKEN = asyncio.Event()


async def bouncer_idle_in_a_transaction() -> None:
    pool = await a_psycopg_pool("bouncer_idle_in_a_transaction", "bouncer")
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")
        await asyncio.sleep(FOREVER_S)


async def bouncer_slow_query() -> None:
    pool = await an_asyncpg_pool("bouncer_slow_query", "bouncer")
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_sleep(600)")


async def bouncer_leak_in_a_transaction() -> None:
    pool = await a_psycopg_pool("bouncer_leak_in_a_transaction", "bouncer")
    connection = await pool.getconn()
    KEPT.append(connection)
    await connection.execute("SELECT 1")


async def bouncer_held() -> None:
    pool = await a_psycopg_pool("bouncer_held", "bouncer", autocommit=True)
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")
        await asyncio.sleep(FOREVER_S)


async def bouncer_leak() -> None:
    pool = await an_asyncpg_pool("bouncer_leak", "bouncer")
    connection = await pool.acquire()
    KEPT.append(connection)
    await connection.execute("SELECT 1")


async def bouncer_at_work() -> None:
    pool = await an_asyncpg_pool("bouncer_at_work", "bouncer")
    async with pool.acquire() as connection:
        while True:
            await connection.execute("SELECT pg_sleep(0.02)")


async def bouncer_first_in_a_small_one() -> None:
    pool = await an_asyncpg_pool("bouncer_first_in_a_small_one", "small")
    async with pool.acquire() as connection:
        await connection.execute("BEGIN")
        TAKEN.set()
        await asyncio.sleep(FOREVER_S)


async def bouncer_queued() -> None:
    pool = await an_asyncpg_pool("bouncer_queued", "small")
    await TAKEN.wait()
    async with pool.acquire() as connection:
        await connection.execute("SELECT 1")


async def bouncer_ends_its_client() -> None:
    pool = await a_psycopg_pool("bouncer_ends_its_client", "impatient", autocommit=True)
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")
        await asyncio.sleep(FOREVER_S)


async def bouncer_behind_a_translated_address() -> None:
    pool = await an_asyncpg_pool("bouncer_behind_a_translated_address", "hidden")
    async with pool.acquire() as connection:
        await connection.execute("SELECT 1")
        await asyncio.sleep(FOREVER_S)


async def bouncer_before_an_unknown_server() -> None:
    pool = await an_asyncpg_pool("bouncer_before_an_unknown_server", "elsewhere")
    async with pool.acquire() as connection:
        await connection.execute("BEGIN")
        await asyncio.sleep(FOREVER_S)


async def held_behind_an_unknown_pooler() -> None:
    pool = await an_asyncpg_pool("held_behind_an_unknown_pooler", "pooler")
    async with pool.acquire() as connection:
        await connection.execute("SELECT 1")
        await asyncio.sleep(FOREVER_S)


BEHAVIOURS = (
    bouncer_idle_in_a_transaction,
    bouncer_slow_query,
    bouncer_leak_in_a_transaction,
    bouncer_held,
    bouncer_leak,
    bouncer_at_work,
    bouncer_first_in_a_small_one,
    bouncer_queued,
    bouncer_ends_its_client,
    bouncer_behind_a_translated_address,
    bouncer_before_an_unknown_server,
    held_behind_an_unknown_pooler,
)
