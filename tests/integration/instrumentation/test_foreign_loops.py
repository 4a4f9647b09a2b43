"""Checkouts on another event loop than the connection's are counted, and no others."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented

pytestmark = [
    # What a connection on a closed loop leaves behind is the misuse that is measured here.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]

Job = Callable[[], Awaitable[Any]]


@pytest.fixture
def readings(caplog: pytest.LogCaptureFixture) -> Iterator[Readings]:
    """Leave nothing behind: a connection of a closed loop would be reported in another test."""
    with instrumented() as readings:
        yield readings
    caplog.get_records("call").clear()  # their tracebacks hold connections
    for _ in range(3):
        gc.collect()


def an_engine(server: EmbeddedPostgres, driver: str = "asyncpg", **options: Any) -> AsyncEngine:
    url = server.dsn.replace("postgresql://", f"postgresql+{driver}://")
    limits = {"pool_size": 2, "max_overflow": 0, "pool_timeout": 5}
    return create_async_engine(url, **({} if "poolclass" in options else limits), **options)


def asking(engine: AsyncEngine) -> Job:
    async def job() -> int:
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT 1"))).scalar_one())

    return job


def failures_of(job: Job, times: int) -> int:
    """Run a job so many times, each on an event loop of its own; return how many failed."""
    failed = 0
    for _ in range(times):
        try:
            asyncio.run(job())  # type: ignore[arg-type]  # every job is a coroutine
        except Exception:  # noqa: BLE001 - which error it is depends on the driver
            failed += 1
    return failed


def foreign(readings: Readings) -> float | None:
    return readings.value(catalogue.FOREIGN_LOOP_CHECKOUTS)


@pytest.mark.parametrize("pre_ping", [False, True], ids=["plain", "pre-ping"])
def test_each_job_that_fails_on_a_connection_of_a_loop_before_is_counted(
    postgres: EmbeddedPostgres, readings: Readings, pre_ping: bool
) -> None:
    engine = an_engine(postgres, pool_pre_ping=pre_ping)
    failed = failures_of(asking(engine), 6)
    assert failed > 0
    assert foreign(readings) == failed
    assert readings.value(catalogue.HOOK_ERRORS) == 0


def test_jobs_on_one_loop_count_nothing(postgres: EmbeddedPostgres, readings: Readings) -> None:
    engine = an_engine(postgres)

    async def work() -> None:
        for _ in range(3):
            await asyncio.gather(*(asking(engine)() for _ in range(2)))
            await asyncio.create_task(asking(engine)())  # type: ignore[arg-type]  # as above
        await engine.dispose()

    asyncio.run(work())
    assert foreign(readings) == 0


@pytest.mark.parametrize("cure", ["NullPool", "psycopg"])
def test_connections_that_work_on_every_loop_count_nothing(
    postgres: EmbeddedPostgres, readings: Readings, cure: str
) -> None:
    is_null = cure == "NullPool"
    engine = an_engine(postgres, poolclass=NullPool) if is_null else an_engine(postgres, "psycopg")
    assert failures_of(asking(engine), 4) == 0
    assert foreign(readings) == 0
    asyncio.run(engine.dispose())


def test_a_psycopg_pool_of_another_loop_counts_nothing_because_it_works(
    postgres: EmbeddedPostgres, readings: Readings
) -> None:
    pool = psycopg_pool.AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False)

    async def open_pool() -> None:
        await pool.open(wait=True)

    async def job() -> None:
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")

    asyncio.run(open_pool())
    assert failures_of(job, 3) == 0
    assert foreign(readings) == 0


def test_each_request_to_an_asyncpg_pool_of_another_loop_is_counted(
    postgres: EmbeddedPostgres, readings: Readings
) -> None:
    pools: list[Any] = []

    async def job() -> None:
        if not pools:
            pools.append(await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=2))
        async with pools[0].acquire() as connection:
            await connection.fetchval("SELECT 1")

    assert failures_of(job, 5) == 4
    assert foreign(readings) == 4
    with suppress(RuntimeError):  # its loop is closed
        pools[0].terminate()


def test_a_closed_loop_is_not_kept_alive_once_its_connections_are_gone(
    postgres: EmbeddedPostgres, readings: Readings
) -> None:
    engine = an_engine(postgres)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def job() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await asking(engine)()
        await engine.dispose()

    asyncio.run(job())
    gc.collect()
    assert [loop() for loop in loops] == [None]
