"""The work that is measured: one checkout and return, with what applications do between."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
from fastapi import Depends, FastAPI
from sqlalchemy import Engine, QueuePool, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

SELECT = text("SELECT 1")
ONE = {"pool_size": 1, "max_overflow": 0}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of work; `time_s` runs it so often and returns the seconds that took.

    `times` is how often it is run to be timed once: more often where it is too short for a clock.
    `engine` is SQLAlchemy's, where there is one.
    """

    times: int
    time_s: Callable[[int], float]
    engine: Engine | None = None


def _sync(pair: Callable[[], object]) -> Callable[[int], float]:
    def time_s(times: int) -> float:
        began = perf_counter()
        for _ in range(times):
            pair()
        return perf_counter() - began

    return time_s


def _async(
    loop: asyncio.AbstractEventLoop, pair: Callable[[], Awaitable[object]]
) -> Callable[[int], float]:
    async def many(times: int) -> float:
        began = perf_counter()
        for _ in range(times):
            await pair()
        return perf_counter() - began

    return lambda times: loop.run_until_complete(many(times))


class NoOpConnection:
    """A driver's connection that does nothing."""

    def rollback(self) -> None: ...

    def close(self) -> None: ...

    def create_function(self, *_: Any, **__: Any) -> None: ...


@contextmanager
def no_op_dbapi(_dsn: str) -> Iterator[Case]:
    engine = create_engine(
        "sqlite://", poolclass=QueuePool, creator=NoOpConnection, _initialize=False
    )
    pool = engine.pool

    def pair() -> None:
        pool.connect().close()

    yield Case(100, _sync(pair), engine)
    engine.dispose()


@contextmanager
def sqlite(_dsn: str) -> Iterator[Case]:
    engine = create_engine("sqlite://", poolclass=QueuePool, **ONE)

    def pair() -> None:
        with engine.connect() as connection:
            connection.execute(SELECT)

    yield Case(20, _sync(pair), engine)
    engine.dispose()


@contextmanager
def psycopg_sync(dsn: str) -> Iterator[Case]:
    engine = create_engine(_url(dsn, "psycopg"), **ONE)

    def pair() -> None:
        with engine.connect() as connection:
            connection.execute(SELECT)

    yield Case(1, _sync(pair), engine)
    engine.dispose()


@contextmanager
def _async_engine(dsn: str) -> Iterator[tuple[asyncio.AbstractEventLoop, AsyncEngine]]:
    loop = asyncio.new_event_loop()
    engine = create_async_engine(_url(dsn, "asyncpg"), **ONE)
    yield loop, engine
    loop.run_until_complete(engine.dispose())
    loop.close()


@contextmanager
def asyncpg_engine(dsn: str) -> Iterator[Case]:
    with _async_engine(dsn) as (loop, engine):

        async def pair() -> None:
            async with engine.connect() as connection:
                await connection.execute(SELECT)

        yield Case(1, _async(loop, pair), engine.sync_engine)


@contextmanager
def async_session(dsn: str) -> Iterator[Case]:
    with _async_engine(dsn) as (loop, engine):

        async def pair() -> None:
            async with AsyncSession(engine) as session:
                await session.execute(SELECT)

        yield Case(1, _async(loop, pair), engine.sync_engine)


@contextmanager
def fastapi_endpoint(dsn: str) -> Iterator[Case]:
    with _async_engine(dsn) as (loop, engine):
        app = _application(engine)
        scope = {
            "type": "http", "method": "GET", "path": "/orders/7", "raw_path": b"/orders/7",
            "query_string": b"", "root_path": "", "headers": [], "http_version": "1.1",
            "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            assert message.get("status", 200) == 200

        async def pair() -> None:
            await app({**scope}, receive, send)

        yield Case(1, _async(loop, pair), engine.sync_engine)


def _application(engine: AsyncEngine) -> FastAPI:
    app = FastAPI()

    async def session() -> Any:
        async with AsyncSession(engine) as session:
            yield session

    @app.get("/orders/{order_id}")
    async def order(order_id: int, session: Annotated[AsyncSession, Depends(session)]) -> int:
        await session.execute(SELECT)
        return order_id

    return app


@contextmanager
def asyncpg_pool(dsn: str) -> Iterator[Case]:
    loop = asyncio.new_event_loop()
    pool: Any = loop.run_until_complete(asyncpg.create_pool(dsn, min_size=1, max_size=1, loop=loop))

    async def pair() -> None:
        async with pool.acquire() as connection:
            await connection.fetchval("SELECT 1")

    yield Case(1, _async(loop, pair))
    loop.run_until_complete(pool.close())
    loop.close()


@contextmanager
def psycopg_pool_bare(dsn: str) -> Iterator[Case]:
    with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:

        def pair() -> None:
            pool.putconn(pool.getconn())

        yield Case(400, _sync(pair))


@contextmanager
def psycopg_pool_select(dsn: str) -> Iterator[Case]:
    with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:

        def pair() -> None:
            with pool.connection() as connection:
                connection.execute("SELECT 1")

        yield Case(1, _sync(pair))


def _url(dsn: str, driver: str) -> str:
    return dsn.replace("postgresql://", f"postgresql+{driver}://", 1)


CASES: dict[str, Callable[[str], AbstractContextManager[Case]]] = {
    "no-op DBAPI": no_op_dbapi,
    "SQLite, SELECT 1": sqlite,
    "psycopg, SELECT 1": psycopg_sync,
    "AsyncEngine on asyncpg, SELECT 1": asyncpg_engine,
    "AsyncSession on asyncpg, SELECT 1": async_session,
    "FastAPI endpoint, in process": fastapi_endpoint,
    "asyncpg.Pool, SELECT 1": asyncpg_pool,
    "psycopg_pool, getconn and putconn": psycopg_pool_bare,
    "psycopg_pool, SELECT 1": psycopg_pool_select,
}
"""By name; each takes the DSN of a PostgreSQL and opens one connection."""
