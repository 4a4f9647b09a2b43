"""Pools on a real PostgreSQL: asynchronous checkouts, and what drivers say of their sessions."""

import asyncio
import gc
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, event, pool, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.session import SessionTransactionState
from sqlalchemy.util import greenlet_spawn

from poolscope import catalogue
from poolscope.clock import monotonic
from poolscope.pushing.held_checkouts import HolderList
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications import attributes
from support.applications.apps import Readings, instrumented
from support.postgres.server import a_long_statement, run_sql, time_out_once_it_runs

SOURCE = Path(__file__).read_text().splitlines()
TESTS = Path(__file__).parents[3]


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(held_after_s=0) as readings:
        yield readings


def url(server: EmbeddedPostgres, driver: str) -> str:
    return server.dsn.replace("postgresql://", f"postgresql+{driver}://")


@asynccontextmanager
async def an_async_engine(
    server: EmbeddedPostgres, driver: str = "asyncpg", **options: Any
) -> AsyncIterator[AsyncEngine]:
    defaults = {"pool_size": 2, "max_overflow": 0, "pool_timeout": 0.2}
    engine = create_async_engine(url(server, driver), **{**defaults, **options})
    try:
        yield engine
    finally:
        await engine.dispose()


def held(readings: Readings) -> list[dict[str, Any]]:
    """Return the attributes of every held checkout that a push would list now."""
    listing = HolderList(monotonic(), 0.0)
    for identity, watched in readings.instrumentation.registry.named_pools():
        listing.list_held(identity, watched.stats, watched.leaks)
    return [
        dict(s.attributes) for s in listing.held_samples() if s.metric is catalogue.CHECKOUT_AGE
    ]


def test_watching_leaves_the_attributes_of_library_and_driver_where_they_are_fast(
    postgres: EmbeddedPostgres,
) -> None:
    path = os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(TESTS)])
    found = subprocess.run(
        [sys.executable, "-m", attributes.__name__, url(postgres, "psycopg")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.stdout, found.stderr) == ("watched 2, made no dict\n", "")


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_asynchronous_checkout_names_its_session_and_its_line(
    readings: Readings, postgres: EmbeddedPostgres, driver: str
) -> None:
    async with an_async_engine(postgres, driver) as engine, engine.connect() as connection:
        line = sys._getframe().f_lineno - 1
        query = "select pg_backend_pid(), host(inet_client_addr()), inet_client_port()"
        pid, address, port = (await connection.execute(text(query))).one()
        [checkout] = held(readings)
    assert checkout[catalogue.BACKEND_PID] == pid
    assert checkout[catalogue.LOCAL_ADDRESS] == address
    assert checkout[catalogue.LOCAL_PORT] == port
    assert checkout[catalogue.PEER_PORT] == postgres.port
    assert checkout[catalogue.CONNECTION_AGE] >= 0
    assert checkout[catalogue.CODE_FILE_PATH].endswith("test_sqlalchemy_postgres.py")
    assert checkout[catalogue.CODE_LINE_NUMBER] == line
    assert checkout[catalogue.OWNER_KIND] == "task"


async def test_what_runs_in_a_greenlet_is_named_by_its_own_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_async_engine(postgres) as engine:
        raw = await engine.raw_connection()
        line = sys._getframe().f_lineno - 1
        assert [each[catalogue.CODE_LINE_NUMBER] for each in held(readings)] == [line]
        raw.close()

        def work(session: Session) -> int:
            session.execute(text("SELECT 1"))
            return sys._getframe().f_lineno - 1

        async with AsyncSession(engine) as session:
            line = await session.run_sync(work)
            assert [each[catalogue.CODE_LINE_NUMBER] for each in held(readings)] == [line]


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def _execute(engine: AsyncEngine) -> AsyncSession:
    session = AsyncSession(engine)
    await session.execute(text("SELECT 1"))
    return session


async def _scalar(engine: AsyncEngine) -> AsyncSession:
    session = AsyncSession(engine)
    await session.scalar(text("SELECT 1"))
    return session


async def _listened(engine: AsyncEngine) -> AsyncSession:
    session = AsyncSession(engine)
    # What a listener asks for is asked for by whoever awaits the session.
    event.listen(session.sync_session, "do_orm_execute", lambda state: state.session.connection())
    await session.execute(text("SELECT 1"))
    return session


async def _spawn(engine: AsyncEngine) -> AsyncSession:
    session = AsyncSession(engine)
    await greenlet_spawn(session.sync_session.execute, text("SELECT 1"))
    return session


@pytest.mark.parametrize("ask", [_connect, _execute, _scalar, _listened, _spawn])
async def test_whatever_awaits_a_connection_is_named_by_its_line(
    readings: Readings,
    postgres: EmbeddedPostgres,
    ask: Callable[[AsyncEngine], Awaitable[AsyncConnection | AsyncSession]],
) -> None:
    async with an_async_engine(postgres) as engine:
        lines, first = inspect.getsourcelines(ask)
        awaiting = first + next(at for at, line in enumerate(lines) if "await " in line)
        for _ in range(2):  # a place that is known is found by another way
            asked = await ask(engine)
            [checkout] = held(readings)
            assert checkout[catalogue.CODE_FILE_PATH].endswith("test_sqlalchemy_postgres.py")
            assert checkout[catalogue.CODE_LINE_NUMBER] == awaiting
            await asked.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_synchronous_checkout_names_its_session(
    readings: Readings, postgres: EmbeddedPostgres, driver: str
) -> None:
    engine = create_engine(url(postgres, driver))
    with engine.connect() as connection:
        [pid] = connection.execute(text("select pg_backend_pid()")).one()
        [checkout] = held(readings)
    engine.dispose()
    assert checkout[catalogue.BACKEND_PID] == pid
    assert checkout[catalogue.PEER_PORT] == postgres.port
    assert checkout[catalogue.OWNER_KIND] == "thread"
    [sample] = readings.samples(catalogue.MAX)
    assert sample.attributes[catalogue.SERVER_PORT] == postgres.port


async def test_waiting_is_told_apart_from_connecting(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_async_engine(postgres) as engine, engine.connect(), engine.connect():
        with pytest.raises(PoolTimeoutError):
            async with engine.connect():
                pass
    assert readings.value(catalogue.TIMEOUTS) == 1
    assert readings.value(catalogue.QUEUE_TIME) == 1
    assert readings.value(catalogue.CREATE_TIME) == 2
    assert (readings.used, readings.out) == (0, 0)


async def test_a_cancelled_waiter_leaves_nothing_behind(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_async_engine(postgres, pool_size=1, pool_timeout=30) as engine:
        async with engine.connect():
            waiter = asyncio.create_task(_use(engine))
            while readings.value(catalogue.PENDING_REQUESTS) == 0:  # noqa: ASYNC110 - a gauge has no event
                await asyncio.sleep(0)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            assert readings.value(catalogue.PENDING_REQUESTS) == 0
        await _use(engine)
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="cancelled") == 1
    assert (readings.out, readings.value(catalogue.TIMEOUTS)) == (0, 0)


async def _use(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def test_a_query_that_is_cancelled_ends_its_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_async_engine(postgres) as engine:
        statement, limit = a_long_statement(), asyncio.timeout(None)
        ending = asyncio.create_task(time_out_once_it_runs(limit, postgres.dsn, statement))
        with pytest.raises(TimeoutError):
            async with limit, engine.connect() as connection:
                await connection.execute(text(statement))
        await ending
        assert (readings.used, readings.out) == (0, 0)
        await _use(engine)
    assert readings.value(catalogue.INVALIDATED, reason="cancelled") == 1


async def test_a_session_that_the_server_killed_ends_its_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_async_engine(postgres) as engine:
        async with engine.connect() as connection:
            [pid] = (await connection.execute(text("select pg_backend_pid()"))).one()
            run_sql(postgres.dsn, f"select pg_terminate_backend({pid})")
            with pytest.raises(DBAPIError):
                await connection.execute(text("select 1"))
            assert readings.out == 0
        assert (readings.used, readings.idle) == (0, 0)


# SQLAlchemy says so itself, and 2.0.0 leaves a coroutine behind.
@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_a_collected_asynchronous_connection_is_a_leak_and_its_slot_recovers(
    readings: Readings, postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    # A captured record would keep the traceback, and with it the connection.
    caplog.set_level("CRITICAL", logger="sqlalchemy.pool")
    async with an_async_engine(postgres) as engine:
        connection = await engine.connect()
        await connection.execute(text("select 1"))
        del connection
        gc.collect()
        readings.scan()
        [leak] = [s for s in readings.samples(catalogue.LEAKS) if s.value]
        assert leak.attributes[catalogue.EVIDENCE] == "garbage_collected"
        assert (readings.used, readings.out) == (0, 0)
        assert readings.value(catalogue.LOST_PLACES) == 0
    gc.collect()


async def test_a_request_that_leaks_is_found_by_its_route_and_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    kept: list[Any] = []
    async with an_async_engine(postgres) as engine:
        engines = [engine]  # not the engine itself: FastAPI keeps its dependencies for ever
        app = FastAPI()

        async def session() -> AsyncIterator[AsyncSession]:
            async with AsyncSession(engines[0]) as session:
                yield session

        @app.get("/fine/{x}")
        async def fine(x: str, session: Annotated[AsyncSession, Depends(session)]) -> None:
            await session.execute(text("select 1"))

        @app.get("/leaks/{x}")
        async def leaks(x: str) -> None:
            kept.append(await engines[0].connect())  # the leak

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://test"
        ) as client:
            await client.get("/fine/1")
            await client.get("/leaks/1")
        [checkout] = held(readings)
        assert checkout[catalogue.HTTP_ROUTE] == "/leaks/{x}"
        marked = next(n for n, text in enumerate(SOURCE, 1) if "# the leak" in text)
        assert checkout[catalogue.CODE_LINE_NUMBER] == marked
        assert readings.value(catalogue.ROUTE_CHECKOUTS, route="/fine/{x}") == 1
        await kept.pop().close()
        engines.clear()


@pytest.mark.skipif(
    "PROVISIONING_CONNECTION" not in SessionTransactionState.__members__,
    reason="this SQLAlchemy does not notice that a session is shared",
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_one_session_in_two_tasks_at_once_is_told(
    readings: Readings, postgres: EmbeddedPostgres, driver: str
) -> None:
    async with an_async_engine(postgres, driver) as engine, AsyncSession(engine) as session:
        sleeps = [session.execute(text("select pg_sleep(0.1)")) for _ in range(2)]
        results = await asyncio.gather(*sleeps, return_exceptions=True)
        refused = [result for result in results if isinstance(result, InvalidRequestError)]
        assert len(refused) == 1
    assert readings.total(catalogue.SHARED_CONNECTIONS, reason="error") == 1
    assert readings.total(catalogue.SHARED_CONNECTIONS) == 1


async def test_a_null_pool_links_too(readings: Readings, postgres: EmbeddedPostgres) -> None:
    engine = create_async_engine(url(postgres, "asyncpg"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        [pid] = (await connection.execute(text("select pg_backend_pid()"))).one()
        [checkout] = held(readings)
        assert checkout[catalogue.BACKEND_PID] == pid
    await engine.dispose()
    assert (readings.used, readings.out) == (0, 0)
    assert readings.value(catalogue.MAX) is None
