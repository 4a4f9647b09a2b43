"""Each kind of pool sends each of its time settings, or the table gives the reason that it cannot.

A setting that is on the wire and wrong would have the checks C3, C4 and C14 judge a fiction.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import NullPool, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

import poolscope
from poolscope import catalogue
from poolscope.catalogue import Metric
from poolscope.clock import monotonic
from poolscope_exporter.demo.ports import free_ports
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.processes.silent_port import SilentPort

TIMEOUT, CONNECT = catalogue.POOL_TIMEOUT, catalogue.POOL_CONNECT_TIMEOUT
RECYCLE, IDLE = catalogue.POOL_RECYCLE, catalogue.POOL_IDLE_TIMEOUT
SETTINGS: Final = (TIMEOUT, CONNECT, RECYCLE, IDLE)

NO_QUEUE = "nobody waits in a queue"
NO_IDLE = "SQLAlchemy closes no connection for being unused"
NOTHING_IDLE = "nothing is ever unused"
NO_AGE = "asyncpg closes no connection for its age"
OF_CALLERS = "each caller gives its own time-out, or waits for ever"

NOWHERE = "host.invalid:1/orders"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Readings]:
    for name in ("PGCONNECT_TIMEOUT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


@dataclass(frozen=True, slots=True)
class PoolKind:
    """How to make a pool that opens nothing, and each setting: its value, or why there is none."""

    name: str
    make: Callable[[], Any]
    expected: dict[Metric, float | str]

    def __str__(self) -> str:
        return self.name


def an_engine(driver: str, **options: Any) -> Callable[[], Any]:
    return lambda: create_engine(f"{driver}://{NOWHERE}", **options)


def an_async_engine(driver: str, **options: Any) -> Callable[[], Any]:
    return lambda: create_async_engine(f"{driver}://{NOWHERE}", **options)


def a_psycopg_pool(kind: Any, conninfo: Any = f"postgresql://{NOWHERE}", **options: Any) -> Any:
    return lambda: kind(conninfo, min_size=0, max_size=2, open=False, **options)


def of_engine(connect_s: float) -> dict[Metric, float | str]:
    """Return the settings of an engine that waits 20 s and recycles after 300 s."""
    return {TIMEOUT: 20.0, CONNECT: connect_s, RECYCLE: 300.0, IDLE: NO_IDLE}


WAITING = {"pool_timeout": 20, "pool_recycle": 300}
PSYCOPG = {"timeout": 20, "max_lifetime": 900, "max_idle": 300}
OF_PSYCOPG: dict[Metric, float | str] = {TIMEOUT: 20.0, RECYCLE: 900.0, IDLE: 300.0}

KINDS: Final = (
    PoolKind("psycopg2", an_engine("postgresql+psycopg2", **WAITING), of_engine(0.0)),
    PoolKind(
        "psycopg2, of the URL",
        lambda: create_engine(f"postgresql+psycopg2://{NOWHERE}?connect_timeout=5", **WAITING),
        of_engine(5.0),
    ),
    PoolKind(
        "psycopg",
        an_engine("postgresql+psycopg", connect_args={"connect_timeout": 6}, **WAITING),
        of_engine(6.0),
    ),
    PoolKind(
        "psycopg, async",
        an_async_engine("postgresql+psycopg", connect_args={"connect_timeout": 6}, **WAITING),
        of_engine(6.0),
    ),
    PoolKind(
        "NullPool",
        an_engine(
            "postgresql+psycopg",
            poolclass=NullPool,
            pool_recycle=300,
            connect_args={"connect_timeout": 6},
        ),
        of_engine(6.0) | {TIMEOUT: NO_QUEUE},
    ),
    PoolKind("asyncpg engine", an_async_engine("postgresql+asyncpg", **WAITING), of_engine(60.0)),
    PoolKind(
        "asyncpg engine, given",
        an_async_engine("postgresql+asyncpg", connect_args={"timeout": 4}, **WAITING),
        of_engine(4.0),
    ),
    PoolKind("pymysql", an_engine("mysql+pymysql", **WAITING), of_engine(10.0)),
    PoolKind("aiomysql", an_async_engine("mysql+aiomysql", **WAITING), of_engine(0.0)),
    PoolKind(
        "aiomysql, of the URL",
        lambda: create_async_engine(f"mysql+aiomysql://{NOWHERE}?connect_timeout=7", **WAITING),
        of_engine(7.0),
    ),
    PoolKind(
        "ConnectionPool",
        a_psycopg_pool(psycopg_pool.ConnectionPool, **PSYCOPG),
        OF_PSYCOPG | {CONNECT: 0.0},
    ),
    PoolKind(
        "ConnectionPool, of the URL",
        a_psycopg_pool(
            psycopg_pool.ConnectionPool, f"postgresql://{NOWHERE}?connect_timeout=5", **PSYCOPG
        ),
        OF_PSYCOPG | {CONNECT: 5.0},
    ),
    PoolKind(
        "AsyncConnectionPool",
        a_psycopg_pool(
            psycopg_pool.AsyncConnectionPool, kwargs={"connect_timeout": 3}, **PSYCOPG
        ),
        OF_PSYCOPG | {CONNECT: 3.0},
    ),
    PoolKind(
        "NullConnectionPool",
        a_psycopg_pool(
            psycopg_pool.NullConnectionPool, kwargs={"connect_timeout": 3}, **PSYCOPG
        ),
        # It connects while the caller waits, and within the caller's time.
        OF_PSYCOPG | {CONNECT: 20.0, IDLE: NOTHING_IDLE},
    ),
    PoolKind(
        "AsyncNullConnectionPool",
        a_psycopg_pool(psycopg_pool.AsyncNullConnectionPool, **PSYCOPG),
        OF_PSYCOPG | {CONNECT: 20.0, IDLE: NOTHING_IDLE},
    ),
)  # fmt: skip

UNREADABLE: Final = (
    PoolKind("a creator", an_engine("postgresql+psycopg", creator=psycopg.connect), {}),
    PoolKind("pysqlite", lambda: create_engine("sqlite://"), {}),
    PoolKind(
        "a connection string that is made later",
        a_psycopg_pool(psycopg_pool.ConnectionPool, lambda: f"postgresql://{NOWHERE}"),
        {},
    ),
    PoolKind(
        "parameters that are made later",
        a_psycopg_pool(psycopg_pool.ConnectionPool, kwargs=dict),
        {},
    ),
)


def sent(readings: Readings) -> dict[Metric, float | None]:
    return {metric: readings.value(metric) for metric in SETTINGS}


def numbers(expected: dict[Metric, float | str]) -> dict[Metric, float | None]:
    return {metric: None if isinstance(value, str) else value for metric, value in expected.items()}


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_each_kind_of_pool_sends_each_setting_or_has_a_reason(
    readings: Readings, kind: PoolKind
) -> None:
    pool = kind.make()
    poolscope.name_pool(pool, "orders")
    assert kind.expected.keys() == set(SETTINGS)
    assert sent(readings) == numbers(kind.expected)


@pytest.mark.parametrize("kind", UNREADABLE, ids=str)
async def test_a_connect_timeout_that_cannot_be_read_is_absent(
    readings: Readings, kind: PoolKind
) -> None:
    pool = kind.make()
    poolscope.name_pool(pool, "orders")
    assert readings.value(catalogue.POOL_INFO) == 1
    assert readings.value(CONNECT) is None


def test_a_listener_may_set_the_timeout_unless_the_engine_does(readings: Readings) -> None:
    given = {"connect_timeout": 6}
    for arguments, expected in (({}, None), (given, 6.0)):
        engine = create_engine(f"postgresql+psycopg://{NOWHERE}", connect_args=arguments)
        event.listen(engine, "do_connect", lambda *_: None)
        assert [s.value for s in readings.samples(CONNECT)] == ([expected] if expected else [])
        del engine


@asynccontextmanager
async def an_asyncpg_pool(server: EmbeddedPostgres, **options: Any) -> AsyncIterator[Any]:
    pool = await asyncpg.create_pool(server.dsn, **{"min_size": 0, "max_size": 1, **options})
    try:
        await pool.fetchval("SELECT 1")
        yield pool
    finally:
        pool.terminate()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {CONNECT: 60.0, IDLE: 300.0}),
        ({"timeout": 5}, {CONNECT: 5.0, IDLE: 300.0}),
        ({"timeout": None}, {CONNECT: 0.0, IDLE: 300.0}),
        ({"max_inactive_connection_lifetime": 200}, {CONNECT: 60.0, IDLE: 200.0}),
        ({"max_inactive_connection_lifetime": 0}, {CONNECT: 60.0, IDLE: 0.0}),
    ],
)
async def test_asyncpg(
    readings: Readings,
    postgres: EmbeddedPostgres,
    options: dict[str, Any],
    expected: dict[Metric, float],
) -> None:
    async with an_asyncpg_pool(postgres, **options):
        assert sent(readings) == numbers({TIMEOUT: OF_CALLERS, RECYCLE: NO_AGE, **expected})


async def test_asyncpg_with_a_connect_function_may_have_another_default(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async def connect(*args: Any, **options: Any) -> Any:
        return await asyncpg.connect(*args, **options)

    async with an_asyncpg_pool(postgres, connect=connect):
        assert readings.value(CONNECT) is None


async def test_asyncpgs_timeout_is_the_longest_that_callers_gave(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with an_asyncpg_pool(postgres) as pool:
        for timeout_s in (20, 10):
            async with pool.acquire(timeout=timeout_s):
                assert readings.value(TIMEOUT) == 20.0
        async with pool.acquire():
            waiting = asyncio.create_task(pool.fetchval("SELECT 1"))
            await asyncio.sleep(0)
            assert readings.value(TIMEOUT) is None  # this one waits for ever
        await waiting


async def test_asyncpg_keeps_its_minimum_however_long_it_is_unused(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    """C4 rests on this: `max_inactive_connection_lifetime` holds for the others alone."""
    options = {"min_size": 1, "max_size": 2, "max_inactive_connection_lifetime": 0.01}
    async with an_asyncpg_pool(postgres, **options) as pool:
        await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.05)") for _ in range(2)))
        while pool.get_size() > 1:  # noqa: ASYNC110 - its timer has no event
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert pool.get_size() == readings.value(catalogue.IDLE_MIN) == 1
        assert readings.value(catalogue.CLOSED, reason="idle") == 1


async def test_psycopg_pool_lends_an_unused_connection_beyond_its_lifetime(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    """C4 rests on this: `max_lifetime` is looked at when a connection comes back, not before."""
    pool = psycopg_pool.AsyncConnectionPool(
        postgres.dsn, min_size=1, max_size=1, max_lifetime=0.01, max_idle=0.01, open=False
    )
    async with pool:
        await pool.wait()
        [opened] = pool._pool
        await asyncio.sleep(0.1)
        async with pool.connection() as connection:
            assert connection is opened
        assert readings.value(catalogue.CLOSED, reason="recycled") == 1


def to_silence(driver: str, timeout_s: float, port: int) -> Callable[[], Awaitable[None]]:
    """Return what asks an engine for a connection to a port that accepts and never answers."""
    parameter = "timeout" if driver.endswith("asyncpg") else "connect_timeout"
    url, arguments = f"{driver}://u:p@127.0.0.1:{port}/orders", {parameter: timeout_s}

    async def ask() -> None:
        if driver.endswith(("asyncpg", "aiomysql")):
            await create_async_engine(url, connect_args=arguments).connect()
        else:
            engine = create_engine(url, connect_args=arguments)
            await asyncio.to_thread(engine.connect)

    return ask


@pytest.mark.parametrize(
    ("driver", "timeout_s"),
    [
        ("postgresql+asyncpg", 0.5),
        ("postgresql+psycopg", 2),
        ("postgresql+psycopg2", 2),
        ("mysql+pymysql", 1),
    ],
)
async def test_what_is_sent_is_what_ends_an_attempt(
    readings: Readings, driver: str, timeout_s: float
) -> None:
    [port] = free_ports([0])
    with SilentPort(port):
        began = monotonic()
        with suppress(Exception):
            await to_silence(driver, timeout_s, port)()
        took_s = monotonic() - began
    assert readings.value(CONNECT) == timeout_s
    assert timeout_s * 0.9 <= took_s
    assert readings.value(catalogue.CONNECT_ERRORS, kind="timeout") == 1
