"""One pool over another: each physical connection is counted once, by the pool that lends it."""

import gc
import sys
from collections.abc import Iterator
from typing import Any

import psycopg_pool
import pytest
import sqlalchemy
from asyncpg import create_pool  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from poolscope import catalogue
from poolscope.clock import monotonic
from poolscope.pushing.held_checkouts import HolderList
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented

ASYNC_CREATOR = pytest.mark.skipif(
    tuple(map(int, sqlalchemy.__version__.split(".")[:3])) < (2, 0, 16),
    reason="create_async_engine takes an async_creator since SQLAlchemy 2.0.16",
)


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(held_after_s=0) as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


@pytest.fixture
def lender(postgres: EmbeddedPostgres) -> Iterator[Any]:
    """Yield a psycopg_pool of one connection that takes back what is closed."""
    with psycopg_pool.ConnectionPool(
        postgres.dsn, min_size=1, max_size=1, timeout=5, open=False, close_returns=True
    ) as pool:
        pool.wait()
        yield pool


def libraries(readings: Readings) -> set[object]:
    return {s.attributes[catalogue.LIBRARY] for s in readings.samples(catalogue.POOL_INFO)}


def held(readings: Readings) -> list[dict[str, Any]]:
    """Return the attributes of every held checkout that a push would list now."""
    listing = HolderList(monotonic(), 0.0)
    for identity, watched in readings.instrumentation.registry.named_pools():
        listing.list_held(identity, watched.stats, watched.leaks)
    return [
        dict(s.attributes) for s in listing.held_samples() if s.metric is catalogue.CHECKOUT_AGE
    ]


def test_a_null_pool_over_a_psycopg_pool_leaves_the_counting_to_it(
    readings: Readings, lender: Any
) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lender.getconn, poolclass=NullPool)
    for _ in range(3):
        with engine.connect() as connection:
            line = sys._getframe().f_lineno - 1
            connection.execute(text("select 1"))
            [checkout] = held(readings)
            assert checkout[catalogue.CODE_LINE_NUMBER] == line
            assert (readings.used, readings.idle, readings.out) == (1, 0, 1)
    assert libraries(readings) == {"psycopg_pool"}
    assert (readings.used, readings.idle, readings.out) == (0, 1, 0)
    assert readings.value(catalogue.CHECKOUTS) == 3
    assert readings.value(catalogue.OPENED) == 1
    engine.dispose()
    with engine.connect():
        assert readings.out == 1
    assert libraries(readings) == {"psycopg_pool"}


def test_what_a_null_pool_passes_on_times_out_once(readings: Readings, lender: Any) -> None:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: lender.getconn(timeout=0.05), poolclass=NullPool
    )
    with engine.connect(), pytest.raises(OperationalError, match="PoolTimeout"):
        engine.connect()
    assert readings.value(catalogue.TIMEOUTS) == 1
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="timeout") == 1
    assert readings.out == 0


def test_a_leak_through_a_null_pool_is_one_leak(readings: Readings, lender: Any) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lender.getconn, poolclass=NullPool)
    engine.connect().close()
    engine.connect()  # SQLAlchemy gives it back when it is collected
    gc.collect()
    readings.scan()
    assert (readings.used, readings.idle, readings.out) == (0, 1, 0)
    [leak] = [s for s in readings.samples(catalogue.LEAKS) if s.value]
    assert (leak.value, leak.attributes[catalogue.EVIDENCE]) == (1, "garbage_collected")


def test_a_null_pool_over_nothing_is_counted_as_ever(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    url = postgres.dsn.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect():
        assert (readings.used, readings.out) == (1, 1)
    assert libraries(readings) == {"sqlalchemy"}


def test_a_pool_that_keeps_what_it_takes_is_a_pool_of_its_own(
    readings: Readings, lender: Any
) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lender.getconn, poolclass=QueuePool)
    engine.connect().close()
    assert libraries(readings) == {"sqlalchemy", "psycopg_pool"}
    kinds = {s[catalogue.OWNER_KIND] for s in held(readings)}
    assert kinds == {"long_lived"}  # the thread that made it take one may end: that is no leak
    engine.dispose()
    assert held(readings) == []
    assert {s.value for s in readings.samples(catalogue.CHECKINS)} == {1}


@ASYNC_CREATOR
async def test_an_asynchronous_null_pool_over_a_psycopg_pool_leaves_the_counting_to_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with psycopg_pool.AsyncConnectionPool(
        postgres.dsn, min_size=1, max_size=1, open=False, close_returns=True
    ) as lender:
        engine = create_async_engine(
            "postgresql+psycopg://", async_creator=lender.getconn, poolclass=NullPool
        )
        for _ in range(2):
            async with engine.connect() as connection:
                line = sys._getframe().f_lineno - 1
                await connection.execute(text("select 1"))
                [checkout] = held(readings)
                assert checkout[catalogue.CODE_LINE_NUMBER] == line
        assert libraries(readings) == {"psycopg_pool"}
        assert (readings.used, readings.idle, readings.out) == (0, 1, 0)
        assert readings.value(catalogue.CHECKOUTS) == 2
        await engine.dispose()


@ASYNC_CREATOR
async def test_an_asynchronous_null_pool_over_an_asyncpg_pool_leaves_the_counting_to_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with create_pool(postgres.dsn, min_size=0, max_size=1) as lender:

        async def acquire() -> Any:
            return await lender.acquire()

        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=acquire, poolclass=NullPool
        )
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            assert (readings.used, readings.out) == (1, 1)
        assert libraries(readings) == {"asyncpg"}
        assert (readings.used, readings.out) == (0, 0)
        await engine.dispose()
