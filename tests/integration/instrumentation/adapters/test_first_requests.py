"""Requests that wait for a new connection, in each library on a real PostgreSQL; prewarmed ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope import catalogue
from poolscope.recording.requests import CURRENT, Request
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented

Take = Callable[[], Any]
Pools = Callable[[str, bool], AbstractAsyncContextManager[Take]]
"""Makes a pool of two connections, opened before the first request if so told, and how to take."""


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings


def url(dsn: str, driver: str) -> str:
    return dsn.replace("postgresql://", f"postgresql+{driver}://")


@asynccontextmanager
async def sqlalchemy_sync(dsn: str, is_prewarmed: bool) -> AsyncIterator[Take]:
    engine = create_engine(url(dsn, "psycopg"), pool_size=2)
    if is_prewarmed:
        opened = [engine.connect() for _ in range(2)]
        for connection in opened:
            connection.close()

    def take() -> Any:
        def use() -> None:
            with engine.connect():
                pass

        return asyncio.to_thread(use)

    yield take
    engine.dispose()


async def open_connections(engine: Any) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(engine.pool.size()):
            await opened.enter_async_context(engine.connect())


@asynccontextmanager
async def sqlalchemy_async(dsn: str, is_prewarmed: bool) -> AsyncIterator[Take]:
    engine = create_async_engine(url(dsn, "asyncpg"), pool_size=2)
    if is_prewarmed:
        await open_connections(engine)  # as docs/fastapi.md has it

    async def take() -> None:
        async with engine.connect():
            pass

    yield take
    await engine.dispose()


@asynccontextmanager
async def of_asyncpg(dsn: str, is_prewarmed: bool) -> AsyncIterator[Take]:
    async with asyncpg.create_pool(dsn, min_size=2 * is_prewarmed, max_size=2) as pool:

        async def take() -> None:
            async with pool.acquire():
                pass

        yield take


@asynccontextmanager
async def of_psycopg_pool(dsn: str, is_prewarmed: bool) -> AsyncIterator[Take]:
    size = 2 * is_prewarmed
    pool = psycopg_pool.AsyncConnectionPool(dsn, min_size=size, max_size=2, open=False)
    await pool.open(wait=is_prewarmed)

    async def take() -> None:
        async with pool.connection():
            pass

    yield take
    await pool.close()


LIBRARIES: dict[str, Pools] = {
    "sqlalchemy": sqlalchemy_sync,
    "sqlalchemy async": sqlalchemy_async,
    "asyncpg": of_asyncpg,
    "psycopg_pool": of_psycopg_pool,
}


async def request(take: Take) -> None:
    token = CURRENT.set(Request())
    try:
        await take()
    finally:
        CURRENT.reset(token)


def waits(readings: Readings) -> tuple[float, float]:
    """Return how many checkouts of the first minute there were, and how many waited to connect."""
    age = catalogue.ServingAge.FIRST_MINUTE.value
    return (
        readings.total(catalogue.REQUEST_CHECKOUTS, serving_age=age),
        readings.total(catalogue.REQUEST_CONNECT_WAITS, serving_age=age),
    )


@pytest.mark.parametrize("library", LIBRARIES)
async def test_first_request_that_opens_a_connection_counts_and_the_next_does_not(
    readings: Readings, postgres: EmbeddedPostgres, library: str
) -> None:
    async with LIBRARIES[library](postgres.dsn, False) as take:
        await request(take)
        assert waits(readings) == (1, 1)
        await request(take)
        assert waits(readings) == (2, 1)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_first_request_of_a_prewarmed_pool_waits_for_no_connection(
    readings: Readings, postgres: EmbeddedPostgres, library: str
) -> None:
    async with LIBRARIES[library](postgres.dsn, True) as take:
        for _ in range(2):
            await request(take)
        assert waits(readings) == (2, 0)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_caller_without_a_request_is_not_counted(
    readings: Readings, postgres: EmbeddedPostgres, library: str
) -> None:
    async with LIBRARIES[library](postgres.dsn, False) as take:
        await take()
        assert waits(readings) == (0, 0)
