"""An app with the mistakes that users reported, one route each; made anew from their stories.

Each pool is named after its case. `SCENARIO_WAYS` says where they lead.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Annotated, Any

import anyio
import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from starlette.middleware.base import BaseHTTPMiddleware

import poolscope
from scenarios.app.pools import DIRECT, KEPT, WAYS, an_async_engine

poolscope.instrument()

SLOW_TO_OPEN_S = 6
LONG_S = 25
PAYMENT_S = 9
QUERY = text("SELECT 1")

MAKING = threading.Lock()
"""Threads that come at once must not make a pool each."""

app = FastAPI()


async def session_of(name: str) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine_of(name)) as session:
        yield session


@cache
def engine_of(name: str) -> AsyncEngine:
    return an_async_engine(name, size=5, pool_timeout=10)


async def background_session() -> AsyncIterator[AsyncSession]:
    async for session in session_of("background_task_holds_its_session"):
        yield session


async def stream_session() -> AsyncIterator[AsyncSession]:
    async for session in session_of("stream_holds_its_session"):
        yield session


async def enrich() -> None:
    """Take long, and never touch the database."""
    await asyncio.sleep(LONG_S)


BackgroundSession = Annotated[AsyncSession, Depends(background_session)]


@app.post("/songs/{song_id}")
async def add_song(song_id: int, tasks: BackgroundTasks, session: BackgroundSession) -> None:
    tasks.add_task(enrich)
    await session.execute(QUERY)


@app.get("/listeners/me")
async def show_me(session: BackgroundSession) -> None:
    await session.execute(QUERY)


async def current_user(session: Annotated[AsyncSession, Depends(stream_session)]) -> int:
    return int((await session.execute(QUERY)).scalar_one())


User = Annotated[int, Depends(current_user)]


@app.get("/events")
async def stream_events(user: User) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(LONG_S):
            yield b"data: x\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(body(), media_type="text/event-stream")


@app.get("/members")
async def show_members(user: User) -> int:
    return user


@cache
def unknown_role_pool() -> psycopg_pool.AsyncConnectionPool[Any]:
    dsn = WAYS[DIRECT].replace("postgres@", "nosuchrole@", 1)
    return psycopg_pool.AsyncConnectionPool(
        dsn, min_size=2, max_size=10, timeout=8, open=False, name="pool_timeout_is_a_wrong_role"
    )


@app.get("/pool_timeout_is_a_wrong_role")
async def ask_with_a_wrong_role() -> None:
    pool = unknown_role_pool()
    await pool.open()  # does not wait: the app starts happily
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")


async def open_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass a connection on to the server after a handshake that takes long."""
    await asyncio.sleep(SLOW_TO_OPEN_S)
    host_and_port = WAYS[DIRECT].rpartition("@")[2].partition("/")[0]
    there, back = await asyncio.open_connection(*host_and_port.split(":"))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)


SLOW_WAY: dict[str, AsyncEngine] = {}


@app.get("/opening_takes_long")
async def ask_over_a_slow_way() -> None:
    name = "opening_takes_long"
    if not SLOW_WAY:
        proxy = await asyncio.start_server(open_slowly, "127.0.0.1", 0)
        KEPT.append(proxy)
        port = proxy.sockets[0].getsockname()[1]
        SLOW_WAY[name] = an_async_engine(
            name, size=10, pool_recycle=5, connect_args={"host": "127.0.0.1", "port": port}
        )
    async with SLOW_WAY[name].connect() as connection:
        await connection.execute(QUERY)


shop = FastAPI()
app.mount("/shop", shop)


class SessionOfRequest(BaseHTTPMiddleware):
    """Closes the session after the route, but not when the route raises."""

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        request.state.session = AsyncSession(engine_of("middleware_skips_the_close"))
        response = await call_next(request)
        await request.state.session.close()
        return response


shop.add_middleware(SessionOfRequest)


@shop.get("/invoices/{number}")
async def show_invoice(number: int, request: Request) -> None:
    await request.state.session.execute(QUERY)
    if number % 5 == 0:
        KEPT.append(request.state.session)  # as an error tracker does that keeps the frames
        raise ValueError(number)


SEARCH: list["asyncpg.Pool[Any]"] = []


@app.get("/search")
async def search() -> None:
    """Be cancelled by the route's own deadline, between acquire and release."""
    if not SEARCH:
        pool = asyncpg.create_pool(WAYS[DIRECT], min_size=1, max_size=5)
        await pool
        poolscope.name_pool(pool, "cancelled_before_the_release")
        SEARCH.append(pool)
    with anyio.move_on_after(0.3):
        connection = await SEARCH[0].acquire()
        await connection.fetchval("SELECT 1 FROM pg_sleep(1)")
        await SEARCH[0].release(connection)


@cache
def limited_engine() -> Engine:
    url = WAYS["limited"].replace("postgresql://", "postgresql+psycopg://", 1)
    name = "workers_times_pool_over_the_role"
    return create_engine(url, pool_size=5, max_overflow=10, pool_logging_name=name)


@app.get("/workers_times_pool_over_the_role")
def ask_as_the_limited_role() -> None:
    with MAKING:
        engine = limited_engine()
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(0.4)"))


@cache
def getconn_pool() -> psycopg_pool.ConnectionPool[Any]:
    return psycopg_pool.ConnectionPool(
        WAYS[DIRECT], min_size=1, max_size=4, timeout=5, open=True, name="getconn_without_putconn"
    )


@app.get("/prices/{number}")
def show_price(number: int) -> None:
    with MAKING:
        pool = getconn_pool()
    connection = pool.getconn()
    connection.execute("SELECT 1")
    if number % 5 == 0:
        raise ValueError(number)
    pool.putconn(connection)


@app.get("/database_is_down")
async def ask_the_database_that_goes_down() -> None:
    engine = outage_engine()
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.05)"))


@cache
def outage_engine() -> AsyncEngine:
    return an_async_engine("database_is_down", "outage", size=5, pool_pre_ping=True)


@app.get("/statements_behind_a_bouncer")
async def ask_through_the_bouncer() -> None:
    async with bouncer_engine().connect() as connection:
        await connection.execute(QUERY)


@cache
def bouncer_engine() -> AsyncEngine:
    return an_async_engine("statements_behind_a_bouncer", "bouncer", size=8)


@app.post("/lock_left_in_the_pool")
async def import_and_fail() -> None:
    async with lock_engine().connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(42)"))
        raise ValueError("the import failed before the unlock")


@app.get("/lock_left_in_the_pool")
async def ask_beside_the_imports() -> None:
    async with lock_engine().connect() as connection:
        await connection.execute(QUERY)


@cache
def lock_engine() -> AsyncEngine:
    return an_async_engine("lock_left_in_the_pool", size=4, pool_timeout=10)


@app.get("/short_bursts")
async def ask_in_bursts() -> None:
    async with burst_engine().connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.3)"))


@cache
def burst_engine() -> AsyncEngine:
    return an_async_engine("short_bursts", size=3, pool_timeout=0.5)


@app.get("/queries_that_compute")
async def compute() -> None:
    async with computing_engine().connect() as connection:
        await connection.execute(text("SELECT sum(n) FROM generate_series(1, 1000000) n"))


@cache
def computing_engine() -> AsyncEngine:
    return an_async_engine("queries_that_compute", size=8, pool_timeout=20)


@app.get("/idle_transactions_are_ended")
async def pay_in_a_transaction() -> None:
    """Await a payment service in a transaction, for longer than the server allows."""
    async with AsyncSession(ending_engine()) as session:
        await session.execute(QUERY)
        await asyncio.sleep(PAYMENT_S)
        await session.execute(QUERY)


@cache
def ending_engine() -> AsyncEngine:
    url = WAYS[DIRECT].replace("postgresql://", "postgresql+psycopg://", 1)
    return create_async_engine(
        url,
        pool_logging_name="idle_transactions_are_ended",
        pool_size=5,
        max_overflow=0,
        connect_args={"options": "-c idle_in_transaction_session_timeout=4000"},
    )
