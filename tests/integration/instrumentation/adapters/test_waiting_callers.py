"""Callers that wait for a connection, by phase, in each library on a real PostgreSQL."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope import catalogue
from poolscope.catalogue import Metric, Phase
from poolscope.pushing.samples import Sample
from poolscope.recording.exhaustion import Exhaustion
from poolscope.recording.waiters import CALLER_PHASES, Waiter
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.processes.black_hole import BlackHole

Taken = Callable[[], Coroutine[Any, Any, Any]]
"""Gives a connection back."""


@dataclass(frozen=True)
class Library:
    """How to make a pool of one connection, to take from it, and to end it."""

    make: Callable[..., Coroutine[Any, Any, Any]]
    take: Callable[[Any], Coroutine[Any, Any, Taken]]
    close: Callable[[Any], Coroutine[Any, Any, Any]]


TIMEOUT_S = 0.5
"""How long the pools of these tests let callers wait, where they are told to."""


async def make_engine(dsn: str, **options: Any) -> Any:
    url = dsn.replace("postgresql://", "postgresql+psycopg://")
    options = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True, **options}
    return create_engine(url, **options)


async def take_sync(engine: Any) -> Taken:
    def connect() -> Any:
        return engine.connect()  # the line

    connection = await asyncio.to_thread(connect)
    return functools.partial(asyncio.to_thread, connection.close)


async def make_async_engine(dsn: str, **options: Any) -> Any:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    options = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True, **options}
    return create_async_engine(url, **options)


async def take_async(engine: Any) -> Taken:
    connection = await engine.connect()  # the line
    return connection.close  # type: ignore[no-any-return]


async def dispose_sync(engine: Any) -> None:
    await asyncio.to_thread(engine.dispose)


async def dispose_async(engine: Any) -> None:
    await engine.dispose()


async def make_asyncpg(dsn: str) -> Any:
    return await asyncpg.create_pool(dsn, min_size=0, max_size=1)


async def take_asyncpg(pool: Any) -> Taken:
    connection = await pool.acquire()  # the line
    return functools.partial(pool.release, connection)


async def take_asyncpg_in_another_task(pool: Any) -> Taken:
    connection = await asyncio.create_task(awaiting(pool.acquire()))  # the line
    return functools.partial(pool.release, connection)


async def take_asyncpg_with_timeout(pool: Any) -> Taken:
    connection = await pool.acquire(timeout=TIMEOUT_S)  # the line
    return functools.partial(pool.release, connection)


async def awaiting(awaitable: Any) -> Any:
    return await awaitable


async def terminate(pool: Any) -> None:
    pool.terminate()


def psycopg_sync(pool_class: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def make(dsn: str, **options: Any) -> Any:
        options = {"min_size": 0, "max_size": 1, "open": True, **options}
        return pool_class(dsn, check=pool_class.check_connection, **options)

    return make


def psycopg_async(pool_class: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def make(dsn: str, **options: Any) -> Any:
        options = {"min_size": 0, "max_size": 1, "open": False, **options}
        pool = pool_class(dsn, check=pool_class.check_connection, **options)
        await pool.open()
        return pool

    return make


async def take_psycopg_sync(pool: Any) -> Taken:
    def connect() -> Any:
        return pool.getconn()  # the line

    connection = await asyncio.to_thread(connect)
    return functools.partial(asyncio.to_thread, pool.putconn, connection)


async def take_psycopg_async(pool: Any) -> Taken:
    connection = await pool.getconn()  # the line
    return functools.partial(pool.putconn, connection)


async def take_psycopg_in_another_task(pool: Any) -> Taken:
    connection = await asyncio.create_task(pool.getconn())  # the line
    return functools.partial(pool.putconn, connection)


async def close_sync(pool: Any) -> None:
    await asyncio.to_thread(pool.close)


async def close_async(pool: Any) -> None:
    await pool.close()


SQLALCHEMY = Library(make_engine, take_sync, dispose_sync)
SQLALCHEMY_ASYNC = Library(make_async_engine, take_async, dispose_async)
ASYNCPG = Library(make_asyncpg, take_asyncpg, terminate)
ASYNCPG_IN_A_TASK = Library(make_asyncpg, take_asyncpg_in_another_task, terminate)
ASYNCPG_TIMED = Library(make_asyncpg, take_asyncpg_with_timeout, terminate)
PSYCOPG = Library(psycopg_sync(psycopg_pool.ConnectionPool), take_psycopg_sync, close_sync)
PSYCOPG_ASYNC = Library(
    psycopg_async(psycopg_pool.AsyncConnectionPool), take_psycopg_async, close_async
)
PSYCOPG_IN_A_TASK = Library(
    psycopg_async(psycopg_pool.AsyncConnectionPool), take_psycopg_in_another_task, close_async
)
PSYCOPG_NULL = Library(psycopg_sync(psycopg_pool.NullConnectionPool), take_psycopg_sync, close_sync)
PSYCOPG_NULL_ASYNC = Library(
    psycopg_async(psycopg_pool.AsyncNullConnectionPool), take_psycopg_async, close_async
)

QUEUE = {
    "sqlalchemy": SQLALCHEMY,
    "sqlalchemy async": SQLALCHEMY_ASYNC,
    "asyncpg": ASYNCPG,
    "asyncpg in a task": ASYNCPG_IN_A_TASK,
    "asyncpg with a time-out": ASYNCPG_TIMED,
    "psycopg_pool": PSYCOPG,
    "psycopg_pool async": PSYCOPG_ASYNC,
    "psycopg_pool in a task": PSYCOPG_IN_A_TASK,
}
CONNECT = {
    "sqlalchemy": SQLALCHEMY,
    "sqlalchemy async": SQLALCHEMY_ASYNC,
    "asyncpg": ASYNCPG,
    "asyncpg in a task": ASYNCPG_IN_A_TASK,
    "asyncpg with a time-out": ASYNCPG_TIMED,
    "psycopg_pool null": PSYCOPG_NULL,
    "psycopg_pool null async": PSYCOPG_NULL_ASYNC,
}
PING = {
    "sqlalchemy": SQLALCHEMY,
    "sqlalchemy async": SQLALCHEMY_ASYNC,
    "psycopg_pool": PSYCOPG,
    "psycopg_pool async": PSYCOPG_ASYNC,
}
ASYNC = ("sqlalchemy async", "asyncpg", "psycopg_pool async", "psycopg_pool null async")


def each(libraries: dict[str, Library], *names: str) -> pytest.MarkDecorator:
    chosen = {name: libraries[name] for name in names or libraries if name in libraries}
    return pytest.mark.parametrize("library", chosen.values(), ids=chosen.keys())


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


NOBODY: dict[Phase, float] = dict.fromkeys(CALLER_PHASES, 0)


def pending(readings: Readings) -> dict[Phase, float]:
    """Return how many callers wait in each phase, in all pools."""
    counts, ages = by_phase(readings, catalogue.PENDING), by_phase(readings, catalogue.PENDING_AGE)
    assert {phase: age_s > 0 for phase, age_s in ages.items()} == {
        phase: count > 0 for phase, count in counts.items()
    }
    requests = sum(number(sample) for sample in readings.samples(catalogue.PENDING_REQUESTS))
    assert requests == sum(counts.values())
    return counts


def by_phase(readings: Readings, metric: Metric) -> dict[Phase, float]:
    """Return the sums of a metric over all pools; an engine of an earlier test may still live."""
    values = dict(NOBODY)  # before the first checkout there is no pool
    for sample in readings.samples(metric):
        phase = Phase(str(sample.attributes[catalogue.PHASE]))
        values[phase] += number(sample)
    return values


def number(sample: Sample) -> float:
    assert isinstance(sample.value, int | float)
    return sample.value


def one_in(phase: Phase) -> dict[Phase, float]:
    return {**NOBODY, phase: 1}


async def until(readings: Readings, phase: Phase) -> None:
    async with asyncio.timeout(20):
        while not by_phase(readings, catalogue.PENDING)[phase]:  # noqa: ASYNC110 - a gauge has no event
            await asyncio.sleep(0.01)
    assert pending(readings) == one_in(phase)


def waiter(readings: Readings) -> Waiter:
    pools = readings.instrumentation.registry.pools
    [found] = [waiter for pool in pools for waiter in pool.stats.waiting.values()]
    return found


def exhaustions(readings: Readings) -> list[Exhaustion]:
    """Return what callers that gave up have seen and the pusher has not logged yet."""
    pools = readings.instrumentation.registry.pools
    return [seen for pool in pools if (seen := pool.stats.exhaustion) is not None]


def assert_at_a_marked_line(found: Waiter) -> None:
    place = found.site.place
    assert place is not None
    assert place[0].endswith("test_waiting_callers.py")
    assert Path(__file__).read_text().splitlines()[place[1] - 1].endswith("# the line")
    assert found.owner is not None


@asynccontextmanager
async def a_slow_pool(library: Library, server: EmbeddedPostgres) -> AsyncIterator[Any]:
    """Yield a pool, and the proxy that it reaches the server by."""
    excuse_lost_connections(asyncio.get_running_loop())
    async with BlackHole(server.port) as proxy:
        dsn = server.dsn.replace(f":{server.port}/", f":{proxy.port}/")
        assert dsn != server.dsn
        pool = await library.make(f"{dsn}")
        try:
            yield pool, proxy
        finally:
            proxy.resume()
            await library.close(pool)


def excuse_lost_connections(loop: asyncio.AbstractEventLoop) -> None:
    """Let pass that asyncpg never fetches the error of an attempt that was cancelled."""
    handle: Any = loop.get_exception_handler() or type(loop).default_exception_handler

    def excuse(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), ConnectionError):
            handle(loop, context)

    loop.set_exception_handler(excuse)


async def give_up(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with suppress(BaseException):
        await task


@each(QUEUE)
async def test_a_caller_in_the_queue_is_counted_until_it_has_a_connection(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    async with a_slow_pool(library, postgres) as (pool, _):
        give_back = await library.take(pool)
        second = asyncio.create_task(library.take(pool))
        await until(readings, Phase.QUEUE)
        assert_at_a_marked_line(waiter(readings))
        await give_back()
        give_back = await second
        assert pending(readings) == NOBODY
        await give_back()


@each(CONNECT)
async def test_a_caller_that_opens_a_connection_is_counted_until_it_is_open(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    async with a_slow_pool(library, postgres) as (pool, proxy):
        proxy.stall()
        first = asyncio.create_task(library.take(pool))
        await until(readings, Phase.CONNECT)
        assert_at_a_marked_line(waiter(readings))
        proxy.resume()
        give_back = await first
        assert pending(readings) == NOBODY
        await give_back()


@each(PING)
async def test_a_caller_in_a_liveness_check_is_counted_until_it_is_answered(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    async with a_slow_pool(library, postgres) as (pool, proxy):
        await (await library.take(pool))()
        proxy.stall()
        second = asyncio.create_task(library.take(pool))
        await until(readings, Phase.PING)
        proxy.resume()
        give_back = await second
        assert pending(readings) == NOBODY
        await give_back()


@each({"psycopg_pool": PSYCOPG, "psycopg_pool async": PSYCOPG_ASYNC})
async def test_a_connection_that_a_worker_opens_leaves_its_caller_in_the_queue(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    async with a_slow_pool(library, postgres) as (pool, proxy):
        proxy.stall()
        first = asyncio.create_task(library.take(pool))
        await until(readings, Phase.QUEUE)
        proxy.resume()
        await (await first)()


async def test_the_connections_that_asyncpg_opens_for_nobody_are_no_callers(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with BlackHole(postgres.port) as proxy:
        proxy.stall()
        dsn = postgres.dsn.replace(f":{postgres.port}/", f":{proxy.port}/")
        making = asyncio.create_task(awaiting(asyncpg.create_pool(dsn, min_size=1, max_size=2)))
        async with asyncio.timeout(20):
            while not readings.samples(catalogue.PENDING):  # noqa: ASYNC110 - a pool has no event
                await asyncio.sleep(0.01)
        assert pending(readings) == NOBODY
        proxy.resume()
        (await making).terminate()


@each({**QUEUE, **CONNECT}, *ASYNC)
async def test_a_caller_that_is_cancelled_waits_no_more(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    phase = Phase.QUEUE if library is PSYCOPG_ASYNC else Phase.CONNECT
    async with a_slow_pool(library, postgres) as (pool, proxy):
        proxy.stall()
        first = asyncio.create_task(library.take(pool))
        await until(readings, phase)
        await give_up(first)
        assert pending(readings) == NOBODY


@each(PING, *ASYNC)
async def test_a_caller_that_is_cancelled_in_a_liveness_check_waits_no_more(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    async with a_slow_pool(library, postgres) as (pool, proxy):
        await (await library.take(pool))()
        proxy.stall()
        second = asyncio.create_task(library.take(pool))
        await until(readings, Phase.PING)
        second.cancel()
        proxy.resume()
        await give_up(second)
        assert pending(readings) == NOBODY


@each(
    {
        "sqlalchemy": Library(
            functools.partial(make_engine, pool_timeout=TIMEOUT_S), take_sync, dispose_sync
        ),
        "sqlalchemy async": Library(
            functools.partial(make_async_engine, pool_timeout=TIMEOUT_S), take_async, dispose_async
        ),
        "asyncpg": ASYNCPG_TIMED,
        "psycopg_pool": Library(
            functools.partial(PSYCOPG.make, timeout=TIMEOUT_S), take_psycopg_sync, close_sync
        ),
        "psycopg_pool async": Library(
            functools.partial(PSYCOPG_ASYNC.make, timeout=TIMEOUT_S),
            take_psycopg_async,
            close_async,
        ),
    }
)
async def test_a_caller_that_gives_up_waits_no_more(
    readings: Readings, postgres: EmbeddedPostgres, library: Library
) -> None:
    readings.instrumentation.pusher.stop()  # it would take what the caller has seen
    async with a_slow_pool(library, postgres) as (pool, _):
        give_back = await library.take(pool)
        with pytest.raises(Exception, match=r"(?i)time.*out|^$|couldn't get a connection"):
            await library.take(pool)
        assert pending(readings) == NOBODY
        assert sum(number(sample) for sample in readings.samples(catalogue.TIMEOUTS)) == 1
        [seen] = exhaustions(readings)
        assert (seen.held_total, len(seen.holders)) == (1, 1)
        await give_back()


@each(CONNECT)
async def test_a_caller_that_cannot_connect_waits_no_more(
    readings: Readings, library: Library
) -> None:
    pool = await library.make("postgresql://postgres:secret@127.0.0.1:1/orders")
    with pytest.raises(Exception, match=r"(?i)refused|connect"):
        await library.take(pool)
    assert pending(readings) == NOBODY
    await library.close(pool)
