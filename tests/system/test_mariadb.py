"""MySQL's drivers on a real MariaDB; `make test-all` runs this."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from poolscope import catalogue
from poolscope.clock import monotonic
from poolscope.pushing.held_checkouts import HolderList
from support.applications.apps import Readings, instrumented
from support.applications.mariadb import MariaDB

WHO_AM_I = (
    "select connection_id(), host from information_schema.processlist where id = connection_id()"
)


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(held_after_s=0) as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


def held(readings: Readings) -> list[dict[str, Any]]:
    listing = HolderList(monotonic(), 0.0)
    for identity, watched in readings.instrumentation.registry.named_pools():
        listing.list_held(identity, watched.stats, watched.leaks)
    return [
        dict(s.attributes) for s in listing.held_samples() if s.metric is catalogue.CHECKOUT_AGE
    ]


def assert_names_its_session(checkout: dict[str, Any], row: Any, port: int) -> None:
    identifier, host = row
    assert checkout[catalogue.BACKEND_PID] == identifier
    assert f"{checkout[catalogue.LOCAL_ADDRESS]}:{checkout[catalogue.LOCAL_PORT]}" == host
    assert checkout[catalogue.PEER_PORT] == port


async def test_an_asynchronous_checkout_names_its_session(
    readings: Readings, mariadb: MariaDB
) -> None:
    engine = create_async_engine(mariadb.url("aiomysql"))
    async with engine.connect() as connection:
        row = (await connection.execute(text(WHO_AM_I))).one()
        [checkout] = held(readings)
    assert_names_its_session(checkout, row, mariadb.port)
    assert (readings.used, readings.idle, readings.out) == (0, 1, 0)
    await engine.dispose()


def test_a_synchronous_checkout_names_its_session(readings: Readings, mariadb: MariaDB) -> None:
    engine = create_engine(mariadb.url("pymysql"))
    with engine.connect() as connection:
        row = connection.execute(text(WHO_AM_I)).one()
        [checkout] = held(readings)
    assert_names_its_session(checkout, row, mariadb.port)
    engine.dispose()


async def time_out_once_it_sleeps(limit: asyncio.Timeout, mariadb: MariaDB) -> None:
    """Let a time limit run out when a session of the server sleeps in its query."""
    engine = create_async_engine(mariadb.url("aiomysql"), pool_logging_name="looker")
    sleeping = text(
        "select count(*) from information_schema.processlist where state = 'User sleep'"
    )
    async with engine.connect() as connection:
        while not (await connection.execute(sleeping)).scalar_one():
            pass
    await engine.dispose()
    limit.reschedule(asyncio.get_running_loop().time())


async def use(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def test_time_outs_cancellations_and_kills_leave_the_numbers_right(
    readings: Readings, mariadb: MariaDB
) -> None:
    engine = create_async_engine(
        mariadb.url("aiomysql"), pool_size=1, max_overflow=0, pool_timeout=0.1
    )
    async with engine.connect() as connection:
        with pytest.raises(PoolTimeoutError):
            await use(engine)
        [identifier] = (await connection.execute(text("select connection_id()"))).one()
        killer = create_engine(mariadb.url("pymysql"), pool_logging_name="killer")
        with killer.connect() as other:
            other.execute(text(f"kill {identifier}"))
        killer.dispose()
        with pytest.raises(DBAPIError):
            await connection.execute(text("select 1"))
    limit = asyncio.timeout(None)
    ending = asyncio.create_task(time_out_once_it_sleeps(limit, mariadb))
    with pytest.raises(TimeoutError):
        async with limit, engine.connect() as connection:
            await connection.execute(text("select sleep(300)"))
    await ending
    await use(engine)
    own = [s for s in readings.instrumentation.registry.named_pools() if s[0].name == "test"]
    [(_, watched)] = own
    assert sum(watched.stats.wait.counts) == sum(watched.stats.use.counts) == 3
    assert readings.instrumentation.registry.hook_errors == 0
    assert watched.stats.reader.state(watched.stats.slots).used == 0  # type: ignore[union-attr]
    await engine.dispose()
