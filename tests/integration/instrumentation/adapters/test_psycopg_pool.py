"""psycopg_pool on a real PostgreSQL, synchronous and asynchronous, against the pool's own truth."""

import asyncio
import gc
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import django  # type: ignore[import-untyped]
import httpx
import psycopg
import psycopg_pool
import pytest
from django.conf import settings  # type: ignore[import-untyped]
from django.db.utils import ConnectionHandler  # type: ignore[import-untyped]
from fastapi import FastAPI
from psycopg_pool import pool as sync_pool
from psycopg_pool import pool_async

import poolscope
from poolscope import catalogue
from poolscope.adapters.psycopg_pool.hooks import PsycopgPoolHooks
from poolscope.clock import monotonic
from poolscope.pushing.held_checkouts import HolderList
from poolscope.recording.tasks import ThreadOwner
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.applications.attributes import made_dict
from support.postgres.server import a_long_statement, run_sql
from support.processes.coroutine_functions import is_coroutine_function

SOURCE = Path(__file__).read_text().splitlines()
POOLS = {
    "sync": psycopg_pool.ConnectionPool,
    "async": psycopg_pool.AsyncConnectionPool,
    "sync null": psycopg_pool.NullConnectionPool,
    "async null": psycopg_pool.AsyncNullConnectionPool,
}
KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
NULL_KINDS = pytest.mark.parametrize("kind", ["sync null", "async null"])
ACTIVE = "select 1 from pg_stat_activity where pid = %s and state = 'active'"
NOWHERE = "postgresql://postgres:secret@127.0.0.1:1/orders"


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(held_after_s=0) as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


async def done(result: Any) -> Any:
    """Return what either kind of pool returns."""
    return await result if inspect.isawaitable(result) else result


@asynccontextmanager
async def a_pool(
    kind: str, server: EmbeddedPostgres | str, *, wait: bool = True, **options: Any
) -> AsyncIterator[Any]:
    """Yield an open pool of 0 to 2 connections; options override."""
    dsn = server if isinstance(server, str) else server.dsn
    defaults = {"min_size": 0, "max_size": 2, "open": False, "timeout": 5.0}
    pool: Any = POOLS[kind](dsn, **{**defaults, **options})
    await done(pool.open(wait=wait))
    try:
        yield pool
    finally:
        await done(pool.close())


def truth(pool: Any) -> tuple[int, int]:
    """Return (used, idle) by the pool's own statistics, for when nothing is being opened."""
    stats = pool.get_stats()
    return stats["pool_size"] - stats["pool_available"], stats["pool_available"]


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
    while not readings.value(catalogue.PENDING_REQUESTS):  # noqa: ASYNC110 - a gauge has no event
        await asyncio.sleep(0)


def seconds(readings: Readings, metric: catalogue.Metric) -> float:
    """Return the sum of a histogram."""
    [sample] = readings.samples(metric)
    total: float = sample.value.sum  # type: ignore[union-attr]
    return total


@KINDS
async def test_a_checkout_is_used_until_it_is_returned(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres) as pool:
        connection = await done(pool.getconn())
        assert (readings.used, readings.idle) == truth(pool) == (1, 0)
        assert readings.out == 1
        await done(pool.putconn(connection))
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)
        assert readings.out == 0
        assert readings.value(catalogue.WAIT_TIME) == readings.value(catalogue.USE_TIME) == 1
        assert readings.value(catalogue.CREATE_TIME) == readings.value(catalogue.OPENED) == 1


@KINDS
async def test_watching_leaves_the_attributes_of_the_driver_where_they_are_fast(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    driver: Any = psycopg.Connection if kind == "sync" else psycopg.AsyncConnection
    # How many attributes there is room for depends on all objects of a class that there ever were.
    fresh = type("Fresh", (driver,), {})
    async with a_pool(kind, postgres, connection_class=fresh) as pool:
        for _ in range(2):
            connection = await done(pool.getconn())
            await done(pool.putconn(connection))
        assert readings.value(catalogue.USE_TIME) == 2
        assert not made_dict(connection, "_pool")
        _ = connection.__dict__
        assert made_dict(connection, "_pool")  # as it would be seen


@KINDS
async def test_a_pool_says_what_it_was_told(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    options: dict[str, Any] = {"min_size": 1, "max_size": 3, "timeout": 7, "max_lifetime": 600}
    async with a_pool(kind, postgres, **options) as pool:
        assert readings.value(catalogue.MAX) == readings.value(catalogue.IDLE_MAX) == 3
        assert readings.value(catalogue.IDLE_MIN) == readings.value(catalogue.POOL_SIZE) == 1
        assert readings.value(catalogue.POOL_MAX_OVERFLOW) == 2
        assert readings.value(catalogue.POOL_TIMEOUT) == 7
        assert readings.value(catalogue.POOL_RECYCLE) == 600
        assert readings.value(catalogue.POOL_PRE_PING) == 0
        [info] = readings.samples(catalogue.POOL_INFO)
        assert info.attributes[catalogue.POOL_CLASS] == type(pool).__name__
        assert info.attributes[catalogue.LIBRARY] == "psycopg_pool"
        assert info.attributes[catalogue.POOL_NAME] == "postgres"
        assert info.attributes[catalogue.SERVER_PORT] == postgres.port


async def test_every_synchronous_way_to_a_connection_is_one_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("sync", postgres, close_returns=True) as pool:
        with pool.connection() as connection:
            connection.execute("select 1")
        with pytest.raises(ZeroDivisionError), pool.connection():
            raise ZeroDivisionError
        pool.getconn().close()
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 3
        assert readings.value(catalogue.OPENED) == 1
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)


async def test_every_asynchronous_way_to_a_connection_is_one_checkout(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("async", postgres, close_returns=True) as pool:
        async with pool.connection() as connection:
            await connection.execute("select 1")
        await (await pool.getconn()).close()
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 2
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)


@KINDS
async def test_a_pool_made_before_us_is_seen_with_what_it_has(
    postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, min_size=2) as pool:
        early = await done(pool.getconn())
        with instrumented() as readings:
            await done(pool.putconn(early))
            assert (readings.used, readings.idle) == truth(pool) == (0, 2)
            later = await done(pool.getconn())
            assert (readings.used, readings.idle) == truth(pool) == (1, 1)
            await done(pool.putconn(later))
            assert (readings.out, readings.value(catalogue.CHECKINS)) == (0, 1)


async def test_a_synchronous_checkout_names_its_session_and_its_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("sync", postgres) as pool:
        with pool.connection() as connection:
            line = sys._getframe().f_lineno - 1
            [checkout] = held(readings)
            assert checkout[catalogue.BACKEND_PID] == connection.info.backend_pid
            assert checkout[catalogue.PEER_PORT] == postgres.port
            assert checkout[catalogue.CONNECTION_AGE] >= 0
            assert checkout[catalogue.CODE_LINE_NUMBER] == line


async def test_an_asynchronous_checkout_names_its_session_and_its_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("async", postgres) as pool, pool.connection() as connection:
        line = sys._getframe().f_lineno - 1
        [checkout] = held(readings)
        assert checkout[catalogue.BACKEND_PID] == connection.info.backend_pid
        assert checkout[catalogue.CODE_LINE_NUMBER] == line
        assert checkout[catalogue.OWNER_KIND] == "task"


@KINDS
async def test_a_time_out_is_counted_and_nobody_waits_any_more(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, max_size=1) as pool:
        connection = await done(pool.getconn())
        with pytest.raises(psycopg_pool.PoolTimeout):
            await done(pool.getconn(timeout=0.05))
        assert pool.get_stats()["requests_waiting"] == 1  # the pool's own number is wrong
        assert readings.value(catalogue.PENDING_REQUESTS) == 0
        assert readings.value(catalogue.TIMEOUTS) == 1
        assert readings.value(catalogue.CHECKOUT_FAILURES, reason="timeout") == 1
        assert readings.value(catalogue.CHECKOUTS) == 1
        assert seconds(readings, catalogue.QUEUE_TIME) >= 0.05
        assert readings.value(catalogue.NESTED_CHECKOUTS) == 1
        await done(pool.putconn(connection))


async def test_a_waiting_thread_is_pending_until_it_gets_what_was_returned(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("sync", postgres, max_size=1) as pool:
        connection = pool.getconn()
        waiting = asyncio.create_task(asyncio.to_thread(lambda: pool.putconn(pool.getconn())))
        await until_waiting(readings)
        assert readings.value(catalogue.PENDING_REQUESTS) == 1
        pool.putconn(connection)
        await waiting
        assert readings.value(catalogue.PENDING_REQUESTS) == 0
        assert readings.value(catalogue.NESTED_CHECKOUTS) == 0
        assert readings.out == 0


async def test_a_cancelled_waiter_is_pending_and_then_is_not(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("async", postgres, max_size=1) as pool:
        async with pool.connection():
            waiter = asyncio.create_task(pool.getconn())
            await until_waiting(readings)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            assert readings.value(catalogue.PENDING_REQUESTS) == 0
        async with pool.connection():
            pass
        assert readings.value(catalogue.CHECKOUT_FAILURES, reason="cancelled") == 1
        assert (readings.out, readings.value(catalogue.TIMEOUTS)) == (0, 0)
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)


@KINDS
async def test_waiting_for_a_new_connection_is_not_time_in_the_queue(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres) as pool:
        await done(pool.putconn(await done(pool.getconn())))
        waited, queued = (seconds(readings, m) for m in (catalogue.WAIT_TIME, catalogue.QUEUE_TIME))
        assert queued <= waited - seconds(readings, catalogue.CREATE_TIME)


@KINDS
async def test_too_many_who_wait_is_a_failure_and_no_time_out(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, max_size=1, max_waiting=1) as pool:
        connection = await done(pool.getconn())
        with pytest.raises(psycopg_pool.PoolTimeout):
            await done(pool.getconn(timeout=0.01))
        with pytest.raises(psycopg_pool.TooManyRequests):
            await done(pool.getconn(timeout=5))  # the pool still counts the one that gave up
        assert readings.value(catalogue.CHECKOUT_FAILURES, reason="error") == 1
        assert readings.value(catalogue.TIMEOUTS) == 1
        await done(pool.putconn(connection))


@KINDS
async def test_a_refused_connect_is_an_error_by_kind_and_nothing_is_used(
    readings: Readings, kind: str
) -> None:
    async with a_pool(kind, NOWHERE, wait=False, min_size=1) as pool:
        with pytest.raises(psycopg_pool.PoolTimeout):
            await done(pool.getconn(timeout=0.3))
        async with asyncio.timeout(60):  # the pool connects in workers of its own
            while not readings.value(catalogue.CONNECT_ERRORS, kind="refused"):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        assert (readings.used, readings.idle, readings.out) == (0, 0, 0)
    assert "secret" not in str([s.attributes for s in readings.instrumentation.pusher.samples()])


@KINDS
@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_connection_that_breaks_in_use_is_invalidated_when_it_is_returned(
    readings: Readings, postgres: EmbeddedPostgres, kind: str, with_reset: bool
) -> None:
    async def reset_later(_: Any) -> None: ...

    reset = (reset_later if kind == "async" else lambda _: None) if with_reset else None
    async with a_pool(kind, postgres, min_size=1, max_size=1, reset=reset) as pool:
        connection = await done(pool.getconn())
        run_sql(postgres.dsn, "select pg_terminate_backend(%s)", connection.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            await done(connection.execute("select 1"))
        await done(pool.putconn(connection))
        assert (readings.used, readings.out) == (0, 0)
        assert readings.value(catalogue.CLOSED, reason="invalidated") == 1
        assert readings.value(catalogue.INVALIDATED, reason="admin") == 1
        await done(pool.putconn(await done(pool.getconn())))
        assert readings.value(catalogue.OPENED) == 2


@pytest.mark.parametrize("with_reset", [False, True])
async def test_a_connection_that_its_cancelled_query_cost_did_not_break(
    readings: Readings, postgres: EmbeddedPostgres, with_reset: bool
) -> None:
    async def reset_later(_: Any) -> None: ...

    async def use(pool: Any, pids: list[int]) -> None:
        async with pool.connection() as connection:
            pids.append(connection.info.backend_pid)
            await connection.execute(a_long_statement())

    reset, pids = reset_later if with_reset else None, list[int]()
    async with a_pool("async", postgres, min_size=1, max_size=1, reset=reset) as pool:
        using = asyncio.create_task(use(pool, pids))
        while not pids or not run_sql(postgres.dsn, ACTIVE, *pids):  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(0)
        while not using.done():  # again and again, as anyio does where a client has gone
            using.cancel()
            await asyncio.sleep(0)
        async with pool.connection():  # a new one
            assert readings.value(catalogue.CLOSED, reason="invalidated") == 1
        assert readings.value(catalogue.INVALIDATED, reason="cancelled") == 1
        assert readings.value(catalogue.INVALIDATED, reason="error") == 0


@KINDS
async def test_a_dead_idle_connection_is_caught_by_the_check(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    check = POOLS[kind].check_connection  # type: ignore[attr-defined]
    async with a_pool(kind, postgres, min_size=1, max_size=1, check=check) as pool:
        connection = await done(pool.getconn())
        pid = connection.info.backend_pid
        await done(pool.putconn(connection))
        del connection
        run_sql(postgres.dsn, "select pg_terminate_backend(%s)", pid)
        connection = await done(pool.getconn())
        assert connection.info.backend_pid != pid
        await done(pool.putconn(connection))
        assert readings.value(catalogue.POOL_PRE_PING) == 1
        assert readings.value(catalogue.PING_TIME) == 3
        assert readings.value(catalogue.INVALIDATED, reason="ping") == 1
        assert readings.value(catalogue.INVALIDATED, reason="error") == 0
        assert readings.value(catalogue.CLOSED, reason="invalidated") == 1
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 2
        assert (readings.used, readings.idle) == truth(pool) == (0, 1)


@KINDS
async def test_a_drained_pool_recycles_its_connections(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, min_size=1, max_size=1) as pool:
        connection = await done(pool.getconn())
        await done(pool.drain())
        await done(pool.putconn(connection))
        assert readings.value(catalogue.CLOSED, reason="recycled") == 1
        assert readings.out == 0


@KINDS
async def test_a_pool_that_shrinks_closes_what_is_unused_as_idle(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, max_idle=0.05) as pool:
        await done(pool.putconn(await done(pool.getconn())))
        while pool.get_stats()["pool_size"]:  # noqa: ASYNC110 - the pool's own timer has no event
            await asyncio.sleep(0.01)
        assert readings.value(catalogue.CLOSED, reason="idle") == 1
        assert readings.value(catalogue.CLOSED, reason="overflow") == 0


@KINDS
async def test_a_pool_that_closes_with_a_connection_out_hears_of_its_return(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, min_size=2) as pool:
        connection = await done(pool.getconn())
    assert (readings.used, readings.idle) == (1, 0)
    await done(pool.putconn(connection))
    # A closed pool with nothing out has no gauges.
    assert (readings.used, readings.idle, readings.out) == (None, None, 0)
    assert readings.value(catalogue.CLOSED, reason="other") == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
@KINDS
async def test_a_collected_connection_is_a_leak_and_its_place_stays_lost(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, min_size=1, max_size=2) as pool:
        connection = await done(pool.getconn())
        assert readings.value(catalogue.LOST_PLACES) == 0
        del connection
        gc.collect()
        assert readings.value(catalogue.LOST_PLACES) == 1
        assert (readings.used, readings.idle) == truth(pool) == (1, 0)
        readings.scan()
        [leak] = [s for s in readings.samples(catalogue.LEAKS) if s.value]
        assert leak.attributes[catalogue.EVIDENCE] == "garbage_collected"
        assert (readings.out, held(readings)) == (0, [])
        [sessions] = [
            s
            for s in readings.instrumentation.pusher._checkouts()
            if s.metric is catalogue.POOL_SESSIONS
        ]
        assert sessions.value == 0
    assert readings.value(catalogue.LOST_PLACES) is None  # a closed pool has no places


@NULL_KINDS
async def test_a_null_pool_counts_what_is_out_and_keeps_nothing(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, wait=False, max_size=1) as pool:
        connection = await done(pool.getconn())
        assert (readings.used, readings.idle) == truth(pool) == (1, 0)
        with pytest.raises(psycopg_pool.PoolTimeout):
            await done(pool.getconn(timeout=0.01))
        await done(pool.putconn(connection))
        assert (readings.used, readings.idle) == truth(pool) == (0, 0)
        assert (readings.out, readings.value(catalogue.TIMEOUTS)) == (0, 1)
        assert readings.value(catalogue.OPENED) == 1
        assert readings.value(catalogue.CLOSED, reason="not_pooled") == 1
        assert (readings.value(catalogue.MAX), readings.value(catalogue.IDLE_MAX)) == (1, 0)


@NULL_KINDS
async def test_a_null_pool_without_a_limit_has_no_maximum(
    readings: Readings, postgres: EmbeddedPostgres, kind: str
) -> None:
    async with a_pool(kind, postgres, wait=False, max_size=0) as pool:
        await done(pool.putconn(await done(pool.getconn())))
        assert readings.value(catalogue.MAX) is None


@NULL_KINDS
async def test_a_refused_connect_of_a_null_pool_reaches_its_caller_and_is_counted(
    readings: Readings, kind: str
) -> None:
    async with a_pool(kind, NOWHERE, wait=False) as pool:
        with pytest.raises(psycopg.OperationalError):
            await done(pool.getconn())
    assert readings.value(catalogue.CONNECT_ERRORS, kind="refused") == 1
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="error") == 1
    assert (readings.used, readings.out) == (None, 0)  # a closed pool has no gauges


@pytest.mark.parametrize("way", ["wait_for", "gather"])
async def test_a_checkout_belongs_to_who_asked_not_to_who_waited_for_it(
    readings: Readings, postgres: EmbeddedPostgres, way: str
) -> None:
    async with a_pool("async", postgres) as pool:
        assert is_coroutine_function(pool.getconn)
        if way == "wait_for":
            connection = await asyncio.wait_for(pool.getconn(), 60)
            line = sys._getframe().f_lineno - 1
        else:
            [connection] = await asyncio.gather(pool.getconn())
            line = sys._getframe().f_lineno - 1
        [checkout] = held(readings)
        assert checkout[catalogue.CODE_LINE_NUMBER] == line
        [watched] = readings.instrumentation.registry.pools
        [taken] = watched.stats.open_checkouts()
        assert not isinstance(taken.owner, ThreadOwner)
        assert taken.owner() is asyncio.current_task()
        await pool.putconn(connection)


async def test_a_request_that_leaks_is_found_by_its_route_and_line(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    kept: list[Any] = []
    async with a_pool("sync", postgres) as pool:
        app = FastAPI()

        @app.get("/fine/{x}")
        def fine(x: str) -> None:
            with pool.connection() as connection:
                connection.execute("select 1")

        @app.get("/leaks/{x}")
        def leaks(x: str) -> None:
            kept.append(pool.getconn())  # the leak

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://test"
        ) as client:
            await client.get("/fine/1")
            await client.get("/leaks/1")
        [checkout] = held(readings)
        assert checkout[catalogue.HTTP_ROUTE] == "/leaks/{x}"
        assert checkout[catalogue.CODE_LINE_NUMBER] == line_of("# the leak")
        assert readings.value(catalogue.ROUTE_CHECKOUTS, route="/fine/{x}") == 1
        assert readings.value(catalogue.BLOCKING_CHECKOUTS) == 0
        pool.putconn(kept.pop())


async def test_a_synchronous_pool_on_a_running_loop_is_counted_as_blocking(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with a_pool("sync", postgres) as pool:
        with pool.connection():
            pass
    assert readings.value(catalogue.BLOCKING_CHECKOUTS) == 1


async def test_many_threads_leave_no_drift(readings: Readings, postgres: EmbeddedPostgres) -> None:
    def work() -> None:
        for _ in range(50):
            with pool.connection():
                pass

    async with a_pool("sync", postgres, timeout=60) as pool:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 400
        async with asyncio.timeout(60):  # psycopg counts one that a worker still opens
            while (readings.used, readings.idle) != truth(pool):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        assert readings.value(catalogue.PENDING_REQUESTS) == 0


@KINDS
async def test_an_error_of_ours_never_loses_a_connection(
    postgres: EmbeddedPostgres, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instrumented() as readings:
        async with a_pool(kind, postgres, min_size=1, max_size=1) as pool:
            await done(pool.putconn(await done(pool.getconn())))
            monkeypatch.setattr(pool._poolscope, "waits", None)
            monkeypatch.setattr(pool._poolscope, "uses", None)
            for _ in range(3):
                await done(pool.putconn(await done(pool.getconn(timeout=60))))
            assert truth(pool) == (0, 1)
            monkeypatch.undo()
        assert readings.instrumentation.registry.hook_errors >= 6


@KINDS
@pytest.mark.parametrize(
    "hook", ["closing", "connect_failed", "discarded", "find", "opened", "stats_of", "waited_for"]
)
async def test_an_error_in_a_hook_is_counted_and_never_reaches_the_application(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, kind: str, hook: str
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(hook)

    monkeypatch.setattr(PsycopgPoolHooks, hook, broken)
    with instrumented() as readings:
        async with a_pool(kind, postgres, max_size=1) as pool:
            connection = await done(pool.getconn())  # it waits for its first connection
            await done(connection.close())
            await done(pool.putconn(connection))
            await done(pool.putconn(await done(pool.getconn())))
            assert truth(pool) == (0, 1)
            with suppress(ValueError):
                poolscope.name_pool(pool, "orders")
        async with a_pool(kind, NOWHERE, wait=False, timeout=0.1) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout):
                await done(pool.getconn())
        assert readings.instrumentation.registry.last_hook_error == f"LookupError: {hook}"


@KINDS
async def test_uninstrumenting_leaves_no_trace(postgres: EmbeddedPostgres, kind: str) -> None:
    classes = (*POOLS.values(), sync_pool.WaitingClient, pool_async.WaitingClient)
    before = {cls: dict(vars(cls)) for cls in classes}
    check = POOLS[kind].check_connection  # type: ignore[attr-defined]
    async with a_pool(kind, postgres, check=check) as pool:
        with instrumented():
            connection = await done(pool.getconn())
        assert {cls: dict(vars(cls)) for cls in classes} == before
        assert pool._check is check
        assert not [name for name in (*vars(pool), *vars(connection)) if "poolscope" in name]
        await done(pool.putconn(connection))
        assert truth(pool) == (0, 1)


def test_the_pool_of_django_is_measured_by_the_line_that_uses_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    if not settings.configured:
        settings.configure(USE_TZ=True)
    django.setup()
    database = {
        "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
        "HOST": "127.0.0.1", "PORT": postgres.port,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 2}},
    }  # fmt: skip
    connection: Any = ConnectionHandler({"default": database})["default"]
    with connection.cursor() as cursor:
        line = sys._getframe().f_lineno - 1
        cursor.execute("select pg_backend_pid()")
        [pid] = cursor.fetchone()
        [checkout] = held(readings)
    assert checkout[catalogue.BACKEND_PID] == pid
    assert checkout[catalogue.CODE_LINE_NUMBER] == line
    assert (readings.used, readings.out) == (1, 1)
    connection.close()
    assert (readings.used, readings.out) == (0, 0)
    [info] = readings.samples(catalogue.POOL_INFO)
    assert info.attributes[catalogue.POOL_NAME] == "postgres"
    connection.close_pool()


def test_a_pool_has_the_name_that_its_user_gives_it(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    with psycopg_pool.ConnectionPool(postgres.dsn, min_size=1, max_size=1) as pool:
        poolscope.name_pool(pool, "orders-rw")
        with pool.connection():
            [sample] = readings.samples(catalogue.CHECKOUTS)
    assert sample.attributes[catalogue.POOL_NAME] == "orders-rw"


@KINDS
async def test_connection_of_no_pool_is_the_callers_error_and_none_of_ours(
    kind: str, postgres: EmbeddedPostgres, readings: Readings
) -> None:
    """The fixture asserts that no hook of ours failed."""
    connect = psycopg.AsyncConnection.connect if kind == "async" else psycopg.Connection.connect
    async with a_pool(kind, postgres) as pool:
        async with a_pool(kind, postgres) as other:
            foreign = await done(other.getconn())
            with pytest.raises(ValueError, match="can't return connection to pool"):
                await done(pool.putconn(foreign))
            await done(other.putconn(foreign))
        for stray in (await done(connect(postgres.dsn)), None, object()):
            with pytest.raises((ValueError, AttributeError)):
                await done(pool.putconn(stray))
            if hasattr(stray, "close"):
                await done(stray.close())
    assert readings.value(catalogue.HOOK_ERRORS) == 0
