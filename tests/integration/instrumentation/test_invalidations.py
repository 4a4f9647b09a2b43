"""Each way in which a connection is lost, provoked for real: the reason is what the driver knows.

psycopg always gives the server's reason. asyncpg gives it where a statement runs, psycopg2 never:
for them the reason of other losses is not known, and it must not be made up.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from conformance.proxy import Proxy, a_proxy
from poolscope import catalogue
from poolscope.catalogue import InvalidationReason as Reason
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.postgres.server import a_long_statement, make_role, run_sql
from support.processes.child_processes import wait_until

ROLE = "loses_sessions"
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND concat(state, ': ', query) ~ %s"
ALIVE = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s)"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid"
QUERY = "SELECT 1"

SQLALCHEMY_ASYNCPG = "SQLAlchemy asyncpg"
SQLALCHEMY_PSYCOPG = "SQLAlchemy psycopg"
SQLALCHEMY_PSYCOPG2 = "SQLAlchemy psycopg2"
ASYNCPG_POOL = "asyncpg.Pool"
PSYCOPG_POOL = "psycopg_pool"

LOST = (DBAPIError, psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a statement raises on a connection that is gone."""

Execute = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Use:
    """A connection of a pool in use; `knows_loss`: the driver has noticed that it is gone."""

    execute: Execute
    knows_loss: Callable[[], bool]


Pool = Callable[[], AbstractAsyncContextManager[Use]]
"""A pool of one connection, and one use of it for each call."""


def sees_later() -> bool:
    """Return that there is nothing to wait for: the driver notices at the next statement."""
    return True


@asynccontextmanager
async def sqlalchemy_pool(driver: str, dsn: str, **arguments: Any) -> AsyncIterator[Pool]:
    url = dsn.replace("postgresql://", f"postgresql+{driver}://")
    engine = create_async_engine(url, pool_size=1, connect_args=arguments)

    @asynccontextmanager
    async def use() -> AsyncIterator[Use]:
        async with engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            notices = raw.is_closed if driver == "asyncpg" else sees_later
            yield Use(connection.exec_driver_sql, notices)

    yield use
    await engine.dispose()


@asynccontextmanager
async def psycopg2_pool(dsn: str) -> AsyncIterator[Pool]:
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg2://"), pool_size=1)

    @asynccontextmanager
    async def use() -> AsyncIterator[Use]:
        connection = await asyncio.to_thread(engine.connect)
        try:

            async def execute(statement: str) -> None:
                await asyncio.to_thread(connection.exec_driver_sql, statement)

            yield Use(execute, sees_later)
        finally:
            await asyncio.to_thread(connection.close)

    yield use
    engine.dispose()


@asynccontextmanager
async def asyncpg_pool(dsn: str, **arguments: Any) -> AsyncIterator[Pool]:
    pool = await asyncpg.create_pool(dsn, min_size=0, max_size=1, **arguments)

    @asynccontextmanager
    async def use() -> AsyncIterator[Use]:
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
            yield Use(connection.execute, connection._con.is_closed)
            await connection.execute("COMMIT")

    yield use
    pool.terminate()


@asynccontextmanager
async def psycopg_pool(dsn: str) -> AsyncIterator[Pool]:
    async with AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool:

        @asynccontextmanager
        async def use() -> AsyncIterator[Use]:
            async with pool.connection() as connection:
                yield Use(cast("Execute", connection.execute), sees_later)

        yield use


POOLS: dict[str, Callable[[str], AbstractAsyncContextManager[Pool]]] = {
    SQLALCHEMY_ASYNCPG: lambda dsn: sqlalchemy_pool("asyncpg", dsn),
    SQLALCHEMY_PSYCOPG: lambda dsn: sqlalchemy_pool("psycopg", dsn),
    SQLALCHEMY_PSYCOPG2: psycopg2_pool,
    ASYNCPG_POOL: asyncpg_pool,
    PSYCOPG_POOL: psycopg_pool,
}


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a server: `dsn` leads through a proxy that can cut it."""

    server: EmbeddedPostgres
    proxy: Proxy

    @property
    def dsn(self) -> str:
        direct = self.server.dsn_for(ROLE)
        return direct.replace(f":{self.server.port}/", f":{self.proxy.port}/")

    def sessions(self, state: str = "") -> list[int]:
        """Return the pids of the application's sessions that are in a state, or of all."""
        return [pid for (pid,) in run_sql(self.server.dsn, SESSIONS, ROLE, state)]

    async def until(self, is_so: Callable[[], bool]) -> None:
        assert await asyncio.to_thread(wait_until, is_so)

    async def terminate(self) -> None:
        """End the sessions as an administrator does; a pool may open others meanwhile."""
        pids = await asyncio.to_thread(self.sessions)
        await asyncio.to_thread(run_sql, self.server.dsn, TERMINATE, pids)
        await self.until(lambda: not run_sql(self.server.dsn, ALIVE, pids))

    async def cut(self) -> None:
        """Close both ends of each connection; the server goes on with a statement that runs."""
        self.proxy.cut()

    async def outlast(self) -> None:
        """Wait until the server has ended the session by a time-out of its own."""
        await self.until(lambda: not self.sessions())


@pytest.fixture
def way(postgres: EmbeddedPostgres) -> Iterator[Way]:
    make_role(postgres, ROLE)
    with a_proxy(postgres.port) as proxy:
        yield Way(postgres, proxy)


async def counted(readings: Readings) -> Counter[str]:
    """Return the invalidated connections that a push would report, by reason.

    Those of asyncpg's pool are counted in the next call of the event loop.
    """
    for _ in range(5):
        await asyncio.sleep(0)
    samples = readings.samples(catalogue.INVALIDATED)
    return Counter(
        reason
        for sample in samples
        for reason in [str(sample.attributes[catalogue.REASON])] * int(cast("int", sample.value))
    )


async def lose_while_held(use: Use, lose: Callable[[], Awaitable[None]], first: str) -> None:
    await use.execute(first)
    await lose()
    while not use.knows_loss():  # noqa: ASYNC110 - the loop has to read the end of the stream
        await asyncio.sleep(0)
    await use.execute(QUERY)


async def run_in(pool: Pool, first: str) -> None:
    """Execute one statement, and then another that takes minutes."""
    async with pool() as use:
        await use.execute(first)
        await use.execute(a_long_statement())


Loses = Callable[[Way], Awaitable[None]]
Reasons = dict[str, Reason]


def by_all(**reasons: Reason) -> Reasons:
    """Return the reason for each pool: SQLAlchemy's and the driver's own give the same."""
    return {
        SQLALCHEMY_ASYNCPG: reasons["asyncpg"],
        ASYNCPG_POOL: reasons["asyncpg"],
        SQLALCHEMY_PSYCOPG: reasons["psycopg"],
        PSYCOPG_POOL: reasons["psycopg"],
        SQLALCHEMY_PSYCOPG2: reasons["psycopg2"],
    }


def named(setting: str, reason: Reason) -> Any:
    """Return a time-out of the server that ends a session which idles in a transaction."""
    first = f"SET {setting} = 200"
    reasons = by_all(asyncpg=Reason.ERROR, psycopg=reason, psycopg2=Reason.ERROR)
    return pytest.param((Way.outlast, first), reasons, id=setting)


IN_A_TRANSACTION = [
    named("idle_in_transaction_session_timeout", Reason.IDLE_IN_TRANSACTION_TIMEOUT),
    pytest.param(
        (Way.terminate, QUERY),
        by_all(asyncpg=Reason.ERROR, psycopg=Reason.ADMIN, psycopg2=Reason.ERROR),
        id="pg_terminate_backend",
    ),
    pytest.param(
        (Way.cut, QUERY),
        by_all(asyncpg=Reason.ERROR, psycopg=Reason.SOCKET, psycopg2=Reason.ERROR),
        id="cut",
    ),
]


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(("loss", "reasons"), IN_A_TRANSACTION)
async def test_loss_in_an_idle_transaction_has_the_reason_of_the_server_or_none(
    readings: Readings, way: Way, name: str, loss: tuple[Loses, str], reasons: Reasons
) -> None:
    lose, first = loss
    async with POOLS[name](way.dsn) as pool:
        with pytest.raises(LOST):
            async with pool() as use:
                await lose_while_held(use, lambda: lose(way), first)
        assert await counted(readings) == Counter([reasons[name]])


async def test_transaction_timeout_has_its_reason(readings: Readings, way: Way) -> None:
    async with psycopg_pool(way.dsn) as pool:
        with pytest.raises(LOST):
            async with pool() as use:
                await lose_while_held(use, way.outlast, "SET transaction_timeout = 200")
        assert await counted(readings) == Counter([Reason.TRANSACTION_TIMEOUT])


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(
    ("lose", "reasons"),
    [
        (Way.terminate, by_all(asyncpg=Reason.ADMIN, psycopg=Reason.ADMIN, psycopg2=Reason.ERROR)),
        (Way.cut, by_all(asyncpg=Reason.SOCKET, psycopg=Reason.SOCKET, psycopg2=Reason.ERROR)),
    ],
    ids=["pg_terminate_backend", "cut"],
)
async def test_loss_of_a_running_statement_has_its_reason(
    readings: Readings, way: Way, name: str, lose: Loses, reasons: Reasons
) -> None:
    async with POOLS[name](way.dsn) as pool:
        running = asyncio.create_task(run_in(pool, QUERY))
        await way.until(lambda: len(way.sessions("active: .*pg_sleep")) == 1)
        await lose(way)
        with pytest.raises(LOST):
            await running
        assert await counted(readings) == Counter([reasons[name]])
    await way.terminate()


async def lose_while_pooled(way: Way, pool: Pool, first: str, lose: Loses) -> None:
    """Lose a connection in its pool, and use it once more."""
    async with pool() as use:
        await use.execute(first)
        await use.execute("COMMIT")
    await lose(way)
    for _ in range(20):
        await asyncio.sleep(0)
    with suppress(*LOST):
        async with pool() as use:
            while not use.knows_loss():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            await use.execute(QUERY)


IN_THE_POOL: list[Any] = [
    pytest.param(
        "SET idle_session_timeout = 200",
        Way.outlast,
        {SQLALCHEMY_PSYCOPG: Reason.IDLE_SESSION_TIMEOUT, SQLALCHEMY_PSYCOPG2: Reason.SOCKET},
        id="idle_session_timeout",
    ),
    pytest.param(
        QUERY,
        Way.terminate,
        {
            SQLALCHEMY_ASYNCPG: Reason.SOCKET,
            SQLALCHEMY_PSYCOPG: Reason.ADMIN,
            SQLALCHEMY_PSYCOPG2: Reason.SOCKET,
            PSYCOPG_POOL: Reason.ADMIN,
        },
        id="pg_terminate_backend",
    ),
    pytest.param(
        QUERY,
        Way.cut,
        {
            SQLALCHEMY_ASYNCPG: Reason.SOCKET,
            SQLALCHEMY_PSYCOPG: Reason.SOCKET,
            SQLALCHEMY_PSYCOPG2: Reason.SOCKET,
            PSYCOPG_POOL: Reason.SOCKET,
        },
        id="cut",
    ),
]


@pytest.mark.parametrize(("first", "lose", "reasons"), IN_THE_POOL)
async def test_loss_in_the_pool_that_a_statement_meets_is_a_socket_unless_the_server_says_why(
    readings: Readings, way: Way, first: str, lose: Loses, reasons: Reasons
) -> None:
    for name, reason in reasons.items():
        before = await counted(readings)
        async with POOLS[name](way.dsn) as pool:
            await lose_while_pooled(way, pool, first, lose)
            assert await counted(readings) - before == Counter([reason]), name


@pytest.mark.parametrize("lose", [Way.terminate, Way.cut])
async def test_loss_that_asyncpg_notices_in_its_pool_meets_no_statement(
    readings: Readings, way: Way, lose: Loses
) -> None:
    async with asyncpg_pool(way.dsn) as pool:
        async with pool() as use:
            await use.execute(QUERY)
        await lose(way)
        while not await counted(readings):
            pass
        assert await counted(readings) == Counter([Reason.LOST_WHILE_IDLE])
        async with pool() as use:
            await use.execute(QUERY)


async def test_statement_that_reaches_the_limit_of_asyncpg_costs_sqlalchemy_its_connection(
    readings: Readings, way: Way
) -> None:
    async with sqlalchemy_pool("asyncpg", way.dsn, command_timeout=0.1) as pool:
        with pytest.raises(TimeoutError):
            async with pool() as use:
                await use.execute(a_long_statement())
        assert await counted(readings) == Counter([Reason.TIMEOUT])


async def test_statement_that_reaches_the_limit_of_asyncpg_costs_its_own_pool_nothing(
    readings: Readings, way: Way
) -> None:
    async with asyncpg_pool(way.dsn, command_timeout=0.1) as pool:
        with pytest.raises(TimeoutError):
            async with pool() as use:
                await use.execute(a_long_statement())
        assert await counted(readings) == Counter()
        async with pool() as use:
            await use.execute(QUERY)


@pytest.mark.parametrize("name", [SQLALCHEMY_ASYNCPG, SQLALCHEMY_PSYCOPG])
async def test_statement_timeout_of_the_server_costs_no_connection(
    readings: Readings, way: Way, name: str
) -> None:
    async with POOLS[name](way.dsn) as pool:
        with pytest.raises(LOST):
            await run_in(pool, "SET statement_timeout = 50")
        assert await counted(readings) == Counter()


async def test_all_connections_that_one_event_loop_loses_at_once_have_their_own_reason(
    readings: Readings, way: Way
) -> None:
    async def run(pool: Any, statement: str) -> None:
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
            await connection.execute(statement)
            await asyncio.sleep(0)
            while not connection._con.is_closed():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)

    pool = await asyncpg.create_pool(way.dsn, min_size=0, max_size=4)
    statements = [a_long_statement(), QUERY, a_long_statement(), QUERY]
    tasks = [asyncio.create_task(run(pool, statement)) for statement in statements]
    await way.until(lambda: len(way.sessions("active: .*pg_sleep")) == 2)
    await way.until(lambda: len(way.sessions("idle in transaction")) == 2)
    await way.terminate()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await counted(readings) == Counter([Reason.ADMIN, Reason.ERROR] * 2)
    pool.terminate()
