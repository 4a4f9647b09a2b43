"""A healthy app: every kind of pool, with room, used in every way that is right.

Run by uvicorn at its default settings; `GET /tally` says how often each thing happened.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import psycopg
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

import poolscope
from scenarios.timed.soak_jobs import (
    CHANGE,
    CHANNEL,
    ROWS,
    SLEEP,
    TALLY,
    listen_in_own_pool,
    listen_in_shared_pool,
    work_in_task,
    work_in_thread,
    work_in_thread_pool,
)
from scenarios.timed.soak_pools import MailConnection, OrderSession, Pools, SoakPools, open_pools

poolscope.instrument()

SHORT_S = 0.02
CHUNKS = 10
CHUNK_S = 0.1
SEARCH_S = 0.3
SLOW_S = 1.2
"""A report takes this long now and then, while its pool has room."""
SERIALIZATION_FAILURE = "40001"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, SoakPools]]:
    async with open_pools() as pools:
        stop = threading.Event()
        works = (work_in_thread, work_in_thread_pool)
        threads = [threading.Thread(target=work, args=(pools, stop)) for work in works]
        for thread in threads:
            thread.start()
        jobs = (work_in_task, listen_in_own_pool, listen_in_shared_pool)
        tasks = [asyncio.create_task(job(pools)) for job in jobs]
        yield {"pools": pools}
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for thread in threads:
            await asyncio.to_thread(thread.join)


app = FastAPI(lifespan=lifespan)


@app.get("/tally")
async def show_tally() -> dict[str, int]:
    return dict(TALLY)


@app.get("/orders/{number}")
async def show_order(number: int, session: OrderSession) -> None:
    await session.execute(SLEEP, {"s": SHORT_S})


@app.post("/orders/{number}")
async def place_order(number: int, session: OrderSession) -> None:
    async with session.begin():
        await session.execute(CHANGE, {"id": number % ROWS})
        await session.execute(text(f"NOTIFY {CHANNEL}"))
        await session.execute(SLEEP, {"s": SHORT_S})


@app.get("/orders/{number}/stream")
async def stream_order(number: int, pools: Pools) -> StreamingResponse:
    """Give the connection back before the stream begins."""
    await ask_sqlalchemy(pools, SHORT_S)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield b"data: x\n\n"
            await asyncio.sleep(CHUNK_S)
        TALLY["streams to the end"] += 1

    return StreamingResponse(body(), media_type="text/event-stream")


@app.get("/pages/{driver}")
async def stream_pages(driver: str, pools: Pools) -> StreamingResponse:
    """Take a connection for each page.

    If the client goes away, the server cancels the query again and again until it has ended.
    """

    async def body() -> AsyncIterator[bytes]:
        try:
            for _ in range(CHUNKS):
                await QUERIES[driver](pools, CHUNK_S)
                yield b"page\n"
        except asyncio.CancelledError:
            TALLY[f"streams cut off in {driver}"] += 1
            raise

    return StreamingResponse(body(), media_type="text/plain")


@app.get("/search/{driver}")
async def search(driver: str, request: Request, pools: Pools) -> None:
    """Cancel the query, once, when the client is gone."""
    query = asyncio.create_task(QUERIES[driver](pools, SEARCH_S))
    while not query.done():
        await asyncio.wait([query], timeout=SHORT_S)
        if await request.is_disconnected():
            query.cancel()
            await asyncio.wait([query])
            TALLY[f"searches cancelled in {driver}"] += query.cancelled()
            return
    query.result()


async def ask_sqlalchemy(pools: SoakPools, takes_s: float) -> None:
    async with pools.orders.connect() as connection:
        await connection.execute(SLEEP, {"s": takes_s})


async def ask_asyncpg(pools: SoakPools, takes_s: float) -> None:
    async with pools.carts.acquire() as connection:
        await connection.execute(f"SELECT pg_sleep({takes_s})")


async def ask_psycopg(pools: SoakPools, takes_s: float) -> None:
    async with pools.users.connection() as connection:
        await connection.execute("SELECT pg_sleep(%s)", [takes_s])


QUERIES = {"sqlalchemy": ask_sqlalchemy, "asyncpg": ask_asyncpg, "psycopg": ask_psycopg}


@app.get("/reports/slow")
def show_slow_report(pools: Pools) -> None:
    with pools.reports.connect() as connection:
        connection.execute(SLEEP, {"s": SLOW_S})


@app.get("/reports/limited")
def show_limited_report(pools: Pools) -> None:
    """Answer without the part for which the statement timeout leaves no time."""
    with pools.reports.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 200"))
        try:
            with connection.begin_nested():
                connection.execute(SLEEP, {"s": 5})
        except OperationalError as exc:
            if not isinstance(exc.orig, psycopg.errors.QueryCanceled):
                raise
            TALLY["statement timeouts"] += 1


@app.get("/reports/{number}")
def show_report(number: int, pools: Pools) -> None:
    with pools.reports.connect() as connection:
        connection.execute(SLEEP, {"s": SHORT_S})


@app.get("/carts/limited")
async def show_limited_cart(pools: Pools) -> None:
    async with pools.carts.acquire() as connection:
        try:
            await connection.fetchval("SELECT 1 FROM pg_sleep(5)", timeout=0.2)
        except TimeoutError:
            TALLY["command timeouts"] += 1


@app.get("/carts/{number}")
async def show_cart(number: int, pools: Pools) -> None:
    await ask_asyncpg(pools, SHORT_S)


@app.post("/carts/{number}")
async def check_out_cart(number: int, pools: Pools) -> None:
    """Take a connection, and leave its use and its return to another task of the request."""
    connection = await pools.carts.acquire()

    async def finish() -> None:
        try:
            await connection.fetchval("SELECT 1 FROM pg_sleep(0.02)")
        finally:
            await pools.carts.release(connection)
            TALLY["handovers to a task"] += 1

    await asyncio.create_task(finish())


@app.get("/users/{number}")
async def show_user(number: int, pools: Pools) -> None:
    await ask_psycopg(pools, SHORT_S)


@app.post("/users/{number}")
async def pay(number: int, pools: Pools) -> None:
    """Try again after a serialization error, with the connection and without it."""
    engine = pools.orders.execution_options(isolation_level="SERIALIZABLE")
    while True:
        try:
            async with engine.begin() as connection:
                await connection.execute(text("SELECT sum(amount) FROM account"))
                await connection.execute(SLEEP, {"s": SHORT_S})
                row = {"id": number % ROWS}
                await connection.execute(
                    text("UPDATE account SET amount = amount + 1 WHERE id = :id"), row
                )
            return  # noqa: TRY300 - the next attempt is the loop's
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) != SERIALIZATION_FAILURE:
                raise
            TALLY["serialization errors"] += 1


@app.get("/mails/{number}")
def show_mail(number: int, connection: MailConnection) -> None:
    connection.execute("SELECT pg_sleep(0.02)")


@app.post("/mails/{number}")
async def send_mail(number: int, tasks: BackgroundTasks, pools: Pools) -> None:
    tasks.add_task(deliver, pools)


def deliver(pools: SoakPools) -> None:
    """Use several threads, after the response."""
    with ThreadPoolExecutor(3) as threads:
        for _ in range(3):
            threads.submit(touch, pools)


def touch(pools: SoakPools) -> None:
    with pools.mails.connection() as connection:
        connection.execute("SELECT pg_sleep(0.02)")
    TALLY["mails from threads"] += 1
