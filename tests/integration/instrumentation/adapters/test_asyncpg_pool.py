"""`asyncpg.Pool` on a real PostgreSQL, held against the pool's own truth."""

import asyncio
import functools
import gc
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import pytest
from asyncpg import create_pool  # by name, before anything is instrumented
from asyncpg.pool import (  # type: ignore[import-untyped]
    Pool,
    PoolAcquireContext,
    PoolConnectionHolder,
)
from databases import Database
from fastapi import FastAPI

import poolscope
from poolscope import catalogue
from poolscope.adapters.asyncpg import hooks
from poolscope.adapters.asyncpg.pools import HOLDERS_ARE_WEAK
from poolscope.clock import monotonic
from poolscope.pushing.held_checkouts import HolderList
from poolscope.recording.pool import NOTED_LIMIT
from poolscope.recording.registry import Registry
from poolscope.recording.tasks import ThreadOwner
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.postgres.server import a_long_statement, run_sql, time_out_once_it_runs
from support.processes.black_hole import BlackHole

SOURCE = Path(__file__).read_text().splitlines()


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(held_after_s=0) as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


@asynccontextmanager
async def a_pool(server: EmbeddedPostgres, **options: Any) -> AsyncIterator[Any]:
    """Yield a pool of 0 to 2 connections; options override. It may end with connections out."""
    pool = await create_pool(server.dsn, **{"min_size": 0, "max_size": 2, **options})
    try:
        yield pool
    finally:
        pool.terminate()


def truth(pool: Any) -> tuple[int, int]:
    """Return (used, idle) by the pool's own public numbers."""
    idle = pool.get_idle_size()
    return pool.get_size() - idle, idle


def held(readings: Readings) -> list[dict[str, Any]]:
    """Return the attributes of every held checkout that a push would list now."""
    listing = HolderList(monotonic(), 0.0)
    for identity, watched in readings.instrumentation.registry.named_pools():
        listing.list_held(identity, watched.stats, watched.leaks)
    return [
        dict(s.attributes) for s in listing.held_samples() if s.metric is catalogue.CHECKOUT_AGE
    ]


def line_of(mark: str) -> int:
    return next(n for n, text in enumerate(SOURCE, 1) if text.endswith(mark))


async def until_waiting(readings: Readings) -> None:
    async with asyncio.timeout(60):
        while not readings.value(catalogue.PENDING_REQUESTS):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)


async def test_a_checkout_is_used_until_it_is_released(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        async with pool.acquire() as connection:
            await connection.execute("select 1")
            assert (readings.used, readings.idle) == truth(pool) == (1, 0)
            assert readings.out == 1
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)
        assert readings.out == 0
        assert readings.value(catalogue.WAIT_TIME) == readings.value(catalogue.USE_TIME) == 1
        assert readings.value(catalogue.CREATE_TIME) == readings.value(catalogue.OPENED) == 1
        assert readings.value(catalogue.QUEUE_TIME) == 0


async def test_what_nobody_reads_does_not_gather(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        for _ in range(NOTED_LIMIT + 1):
            async with pool.acquire():
                pass
        [(_, watched)] = readings.instrumentation.registry.named_pools()
        assert watched.stats.waits == []
        assert len(watched.stats.uses) == 1
        assert readings.value(catalogue.CHECKINS) == NOTED_LIMIT + 1


async def test_a_pool_says_what_it_was_told(readings: Readings, postgres: EmbeddedPostgres) -> None:
    async with a_pool(postgres, min_size=1, max_size=3) as pool:
        await pool.fetchval("select 1")
        assert readings.value(catalogue.MAX) == readings.value(catalogue.IDLE_MAX) == 3
        assert readings.value(catalogue.IDLE_MIN) == readings.value(catalogue.POOL_SIZE) == 1
        assert readings.value(catalogue.POOL_MAX_OVERFLOW) == 2
        assert readings.value(catalogue.POOL_TIMEOUT) is None
        [info] = readings.samples(catalogue.POOL_INFO)
        assert info.attributes[catalogue.POOL_CLASS] == "Pool"
        assert info.attributes[catalogue.LIBRARY] == "asyncpg"
        assert info.attributes[catalogue.POOL_NAME] == "postgres"
        assert info.attributes[catalogue.SERVER_ADDRESS] == "127.0.0.1"
        assert info.attributes[catalogue.SERVER_PORT] == postgres.port


async def test_every_way_to_a_connection_is_one_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        await pool.fetchval("select 1")
        await pool.execute("select 1")
        connection = await pool.acquire()
        await pool.release(connection)
        await pool.release(connection)  # a second one is nothing, to asyncpg too
        async with pool.acquire(timeout=60):
            pass
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 4


async def test_a_wrapper_of_somebody_else_over_ours_is_one_checkout(
    readings: Readings, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Pool._acquire
    seen: list[float | None] = []

    @functools.wraps(ours)
    async def watched(self: Any, timeout: float | None) -> Any:  # noqa: ASYNC109 - as asyncpg's
        seen.append(timeout)
        return await ours(self, timeout)

    monkeypatch.setattr(Pool, "_acquire", watched)
    async with a_pool(postgres) as pool:
        async with pool.acquire(timeout=60):
            pass
        await pool.release(await pool.acquire())
    assert seen == [60, None]
    assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 2


async def test_another_context_of_a_future_driver_stays_as_it_is_and_is_measured(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another(self: Any) -> Any:
        self.connection = await self.pool._acquire(timeout=None)  # no more than an example
        return self.connection

    monkeypatch.setattr(PoolAcquireContext, "__aenter__", another)
    with instrumented(held_after_s=0) as readings:
        async with a_pool(postgres) as pool:
            assert type(pool.acquire()) is PoolAcquireContext
            async with pool.acquire() as connection:
                assert await connection.fetchval("select 1") == 1
                [checkout] = held(readings)
                assert checkout[catalogue.OWNER_KIND] == "task"
            await pool.release(await pool.acquire())
            assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 2
        assert readings.instrumentation.registry.hook_errors == 0


async def test_a_private_name_that_is_gone_leaves_the_application_its_connections(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise AttributeError("_holders")

    monkeypatch.setattr(hooks, "identify_pool", missing)
    with instrumented() as readings:
        async with a_pool(postgres, max_size=1) as pool:
            for _ in range(3):
                async with pool.acquire(timeout=60) as connection:
                    assert await connection.fetchval("select 1") == 1
            assert truth(pool) == (0, 1)
        assert readings.instrumentation.registry.hook_errors > 0


def test_a_queue_without_its_private_name_raises_nothing_and_is_counted() -> None:
    registry = Registry()
    queue = SimpleNamespace(_poolscope="statistics")
    hooks.AsyncpgHooks(registry).first_use(SimpleNamespace(_queue=queue), None)
    assert registry.last_hook_error is not None
    assert "_queue" in registry.last_hook_error


async def test_what_acquire_returns_is_used_once(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        entered, awaited = pool.acquire(), pool.acquire()
        async with entered:
            await pool.release(await awaited)
            for spent in (entered, awaited):
                with pytest.raises(asyncpg.InterfaceError, match="already acquired"):
                    await spent.__aenter__()
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 2


async def test_a_pool_made_before_us_is_seen_with_what_it_has(postgres: EmbeddedPostgres) -> None:
    async with a_pool(postgres, min_size=2) as pool, pool.acquire() as early:
        with instrumented() as readings:
            async with pool.acquire():
                assert (readings.used, readings.idle) == truth(pool) == (2, 0)
            await pool.release(early)
            assert (readings.used, readings.idle) == truth(pool) == (0, 2)
            assert (readings.out, readings.value(catalogue.CHECKINS)) == (0, 1)


async def test_a_checkout_names_its_session_and_its_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool, pool.acquire() as connection:
        line = sys._getframe().f_lineno - 1
        query = "select pg_backend_pid(), host(inet_client_addr()), inet_client_port()"
        pid, address, port = await connection.fetchrow(query)
        [checkout] = held(readings)
    assert checkout[catalogue.BACKEND_PID] == pid
    assert checkout[catalogue.LOCAL_ADDRESS] == address
    assert checkout[catalogue.LOCAL_PORT] == port
    assert checkout[catalogue.PEER_PORT] == postgres.port
    assert checkout[catalogue.CONNECTION_AGE] >= 0
    assert checkout[catalogue.CODE_LINE_NUMBER] == line
    assert checkout[catalogue.OWNER_KIND] == "task"


async def test_a_connection_class_of_the_application_names_its_session_too(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    class Connection(asyncpg.Connection):  # type: ignore[misc]
        pass

    async with (
        a_pool(postgres, connection_class=Connection) as pool,
        pool.acquire() as connection,
    ):
        [checkout] = held(readings)
        assert checkout[catalogue.BACKEND_PID] == connection.get_server_pid()


async def test_a_pool_that_nobody_waits_for_has_the_queue_that_it_had(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres, max_size=1) as pool:
        async with pool.acquire():
            assert "get" not in vars(pool._queue)
            waiting = asyncio.create_task(pool.fetchval("select 1"))
            await until_waiting(readings)
        assert await waiting == 1
        assert readings.value(catalogue.QUEUE_TIME) == 1


async def test_a_time_out_is_counted_and_its_wait_is_queue_time(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres, max_size=1) as pool, pool.acquire():
        with pytest.raises(TimeoutError):
            await pool.acquire(timeout=0.05)
        assert readings.value(catalogue.TIMEOUTS) == 1
        assert readings.value(catalogue.CHECKOUT_FAILURES, reason="timeout") == 1
        assert readings.value(catalogue.QUEUE_TIME) == 1
        assert readings.value(catalogue.CHECKOUTS) == 1
        assert readings.value(catalogue.PENDING_REQUESTS) == 0


@pytest.mark.parametrize("timeout_s", [None, 30])
async def test_a_cancelled_waiter_is_pending_and_then_is_not(
    readings: Readings, postgres: EmbeddedPostgres, timeout_s: float | None
) -> None:
    async with a_pool(postgres, max_size=1) as pool:
        async with pool.acquire():
            waiter = asyncio.ensure_future(pool.acquire(timeout=timeout_s))
            await until_waiting(readings)
            assert len(pool._queue._getters) == readings.value(catalogue.PENDING_REQUESTS) == 1
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            assert readings.value(catalogue.PENDING_REQUESTS) == 0
        await pool.fetchval("select 1")
        assert readings.value(catalogue.CHECKOUT_FAILURES, reason="cancelled") == 1
        assert (readings.out, readings.value(catalogue.TIMEOUTS)) == (0, 0)


async def test_a_query_that_is_cancelled_ends_its_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        statement, limit = a_long_statement(), asyncio.timeout(None)
        ending = asyncio.create_task(time_out_once_it_runs(limit, postgres.dsn, statement))
        with pytest.raises(TimeoutError):
            async with limit, pool.acquire() as connection:
                await connection.execute(statement)
        await ending
        assert (readings.used, readings.idle) == truth(pool)
        assert readings.out == 0


async def test_a_refused_connect_is_an_error_by_kind_and_no_time_out(readings: Readings) -> None:
    pool = create_pool("postgresql://postgres:secret@127.0.0.1:1/postgres", max_size=1, min_size=0)
    await pool
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            await pool.acquire()
    assert readings.value(catalogue.CONNECT_ERRORS, kind="refused") == 2
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="error") == 2
    assert (readings.used, readings.idle, readings.out) == (0, 0, 0)
    assert "secret" not in str([s.attributes for s in readings.instrumentation.pusher.samples()])


async def test_a_server_that_does_not_answer_is_no_pool_time_out(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with BlackHole(postgres.port) as hole:
        hole.swallow()
        dsn = f"postgresql://postgres@127.0.0.1:{hole.port}/postgres"
        pool = await create_pool(dsn, min_size=0, max_size=1, timeout=0.05)
        with pytest.raises(TimeoutError):
            await pool.acquire()
    assert readings.value(catalogue.TIMEOUTS) == 0
    assert readings.value(catalogue.CONNECT_ERRORS, kind="timeout") == 1
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="error") == 1


async def test_a_session_that_the_server_killed_in_use_ends_its_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        connection = await pool.acquire()
        run_sql(postgres.dsn, "select pg_terminate_backend(%s)", connection.get_server_pid())
        while connection._con is not None:  # noqa: ASYNC110 - the loop has to hear of it
            await asyncio.sleep(0)
        assert (readings.used, readings.idle) == truth(pool) == (0, 0)
        assert readings.out == 0
        assert readings.value(catalogue.CLOSED, reason="invalidated") == 1
        await asyncio.sleep(0)  # the reason is counted once the error of a statement would be there
        assert readings.value(catalogue.INVALIDATED, reason="socket") == 1
        [sessions] = [s for s in _for_exporter(readings) if s.metric is catalogue.POOL_SESSIONS]
        assert sessions.attributes[catalogue.BACKEND_PIDS] == []


def _for_exporter(readings: Readings) -> list[Any]:
    return list(readings.instrumentation.pusher._checkouts())


async def test_an_expired_connection_is_recycled(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        async with pool.acquire():
            await pool.expire_connections()
        assert (readings.used, readings.idle) == truth(pool) == (0, 0)
        await pool.fetchval("select 1")
        assert readings.value(catalogue.CLOSED, reason="recycled") == 1
        assert readings.value(catalogue.OPENED) == 2


async def test_a_connection_that_was_unused_for_too_long_is_closed_as_idle(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres, max_inactive_connection_lifetime=0.01) as pool:
        await pool.fetchval("select 1")
        while pool.get_size():  # noqa: ASYNC110 - the pool's own timer has no event
            await asyncio.sleep(0.01)
        assert readings.idle == 0
        assert readings.value(catalogue.CLOSED, reason="idle") == 1
        assert readings.value(catalogue.CLOSED, reason="recycled") == 0
        assert readings.value(catalogue.INVALIDATED, reason="error") == 0


async def test_a_dropped_connection_stays_out_as_it_does_in_the_pool(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        await asyncio.create_task(_drop(pool))
        gc.collect()
        assert (readings.used, readings.idle) == truth(pool) == (1, 0)
        [checkout] = held(readings)
        assert checkout[catalogue.CODE_LINE_NUMBER] == line_of("# dropped")
        [watched] = readings.instrumentation.registry.pools
        [taken] = watched.stats.open_checkouts()
        watched.leaks.scan([taken], [], monotonic())
        [leak] = watched.leaks.scan([taken], [], monotonic() + 31)
        assert leak.evidence is catalogue.Evidence.TASK_FINISHED


async def _drop(pool: Any) -> None:
    await pool.acquire()  # dropped


@pytest.mark.parametrize("way", ["wait_for", "gather"])
async def test_a_checkout_belongs_to_who_asked_not_to_who_waited_for_it(
    readings: Readings, postgres: EmbeddedPostgres, way: str
) -> None:
    async with a_pool(postgres) as pool:
        if way == "wait_for":
            connection = await asyncio.wait_for(pool.acquire(), 60)
            line = sys._getframe().f_lineno - 1
        else:
            [connection] = await asyncio.gather(pool.acquire())
            line = sys._getframe().f_lineno - 1
        [checkout] = held(readings)
        assert checkout[catalogue.CODE_LINE_NUMBER] == line
        [watched] = readings.instrumentation.registry.pools
        [taken] = watched.stats.open_checkouts()
        assert not isinstance(taken.owner, ThreadOwner)
        assert taken.owner() is asyncio.current_task()
        await pool.release(connection)


async def test_a_nested_checkout_that_waits_is_counted(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres, max_size=1) as pool, pool.acquire():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), pool.acquire():
                pass
    assert readings.value(catalogue.NESTED_CHECKOUTS) == 1


async def test_a_request_that_leaks_is_found_by_its_route_and_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        app = FastAPI()

        @app.get("/fine/{x}")
        async def fine(x: str) -> None:
            await pool.fetchval("select 1")

        @app.get("/leaks/{x}")
        async def leaks(x: str) -> None:
            await pool.acquire()  # the leak

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://test"
        ) as client:
            await client.get("/fine/1")
            await client.get("/leaks/1")
        [checkout] = held(readings)
        assert checkout[catalogue.HTTP_ROUTE] == "/leaks/{x}"
        assert checkout[catalogue.CODE_LINE_NUMBER] == line_of("# the leak")
        assert readings.value(catalogue.ROUTE_CHECKOUTS, route="/fine/{x}") == 1
        assert 0 < (readings.value(catalogue.ROUTE_HELD_TIME, route="/fine/{x}") or 0) < 10


async def test_two_pools_of_one_database_stay_apart(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as full, a_pool(postgres) as idle, full.acquire():
        await idle.fetchval("select 1")
        names = [s.attributes[catalogue.POOL_NAME] for s in readings.samples(catalogue.MAX)]
        assert names == ["postgres", "postgres-2"]


async def test_an_error_of_ours_never_loses_a_connection(postgres: EmbeddedPostgres) -> None:
    with instrumented() as readings:
        async with a_pool(postgres, max_size=1) as pool:
            await pool.fetchval("select 1")
            pool._queue._poolscope.waits = None
            for _ in range(3):
                assert await pool.fetchval("select 1", timeout=60) == 1
            assert truth(pool) == (0, 1)
        assert readings.instrumentation.registry.hook_errors > 0


@pytest.mark.parametrize(
    "hook", ["closed", "connect_failed", "find", "first_use", "opened", "stats_of"]
)
async def test_an_error_in_a_hook_is_counted_and_never_reaches_the_application(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(hook)

    monkeypatch.setattr(hooks.AsyncpgHooks, hook, broken)
    with instrumented() as readings:
        async with a_pool(postgres, max_size=1) as pool:
            async with pool.acquire(timeout=5) as connection:
                connection.terminate()
            assert await pool.fetchval("select 1", timeout=5) == 1
            assert truth(pool) == (0, 1)
            with suppress(ValueError):
                poolscope.name_pool(pool, "orders")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await create_pool(postgres.dsn, database="missing", min_size=1, max_size=1)
        assert readings.instrumentation.registry.last_hook_error == f"LookupError: {hook}"


async def test_uninstrumenting_leaves_no_trace(postgres: EmbeddedPostgres) -> None:
    before = {cls: dict(vars(cls)) for cls in (Pool, PoolConnectionHolder)}
    async with a_pool(postgres) as pool:
        with instrumented():
            asked = pool.acquire()
            async with pool.acquire() as connection:
                assert connection is not None
        assert {cls: dict(vars(cls)) for cls in (Pool, PoolConnectionHolder)} == before
        assert not [name for name in vars(pool._queue) if name == "get" or "poolscope" in name]
        await pool.release(await asked)
        assert truth(pool)[0] == 0


@pytest.mark.skipif(not HOLDERS_ARE_WEAK, reason="up to asyncpg 0.31 a pool keeps itself")
async def test_a_pool_that_has_ended_is_not_kept_by_us(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        await pool.fetchval("select 1")
        queue = weakref.ref(pool._queue)
    del pool
    gc.collect()
    assert queue() is None
    assert readings.used is None
    assert readings.value(catalogue.CHECKINS) == 1


async def test_the_databases_library_is_measured_by_the_line_that_uses_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with Database(postgres.dsn, min_size=1, max_size=2) as database:
        assert await database.fetch_val("select 1") == 1
        async with database.transaction():
            line = sys._getframe().f_lineno - 1
            [checkout] = held(readings)
            assert checkout[catalogue.CODE_LINE_NUMBER] == line
            assert (readings.used, readings.out) == (1, 1)
        assert (readings.used, readings.out) == (0, 0)
        assert readings.value(catalogue.MAX) == 2


async def test_one_connection_in_two_tasks_at_once_is_told(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool, pool.acquire() as connection:
        sleeps = [connection.execute("select pg_sleep(0.1)") for _ in range(2)]
        results = await asyncio.gather(*sleeps, return_exceptions=True)
        assert [type(result) for result in results].count(asyncpg.InterfaceError) == 1
    assert readings.total(catalogue.SHARED_CONNECTIONS, reason="error") == 1
    assert readings.total(catalogue.SHARED_CONNECTIONS) == 1


async def test_a_pool_has_the_name_that_its_user_gives_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool(postgres) as pool:
        poolscope.name_pool(pool, "orders-rw")
        async with pool.acquire():
            [sample] = readings.samples(catalogue.CHECKOUTS)
    assert sample.attributes[catalogue.POOL_NAME] == "orders-rw"
