"""Each way in which a connect fails, provoked for real, has the same kind with every driver."""

import asyncio
import inspect
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind as Kind
from poolscope_exporter.demo.ports import free_ports
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.postgres.answers import answering, hanging_up
from support.postgres.server import run_sql
from support.processes.black_hole import BlackHole
from support.processes.child_processes import wait_until

TIMEOUT_S = 2
ROLES = """
    CREATE ROLE app LOGIN PASSWORD 'right';
    CREATE ROLE dormant NOLOGIN PASSWORD 'right';
    CREATE ROLE crowded LOGIN PASSWORD 'right' CONNECTION LIMIT 0
"""
DATABASES = (
    "CREATE DATABASE crowded CONNECTION LIMIT 0",
    "CREATE DATABASE closed",
    "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
)
Driver = Callable[[str], Awaitable[None]]


async def by_asyncpg(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1, timeout=TIMEOUT_S) as pool:
        await pool.acquire()


async def by_psycopg(dsn: str) -> None:
    await asyncio.to_thread(connect_by_psycopg, dsn)


def connect_by_psycopg(dsn: str) -> None:
    with psycopg_pool.NullConnectionPool(dsn, max_size=1, timeout=TIMEOUT_S, open=True) as pool:
        pool.getconn()


async def by_async_psycopg(dsn: str) -> None:
    async with psycopg_pool.AsyncNullConnectionPool(dsn, max_size=1, timeout=TIMEOUT_S) as pool:
        await pool.getconn()


async def by_sqlalchemy(driver: Any, dsn: str) -> None:
    engine = create_engine(
        f"postgresql+{driver.__name__}://",
        creator=lambda: driver.connect(dsn, connect_timeout=TIMEOUT_S),
    )
    await asyncio.to_thread(engine.connect)


async def by_async_sqlalchemy(dsn: str) -> None:
    arguments = {"dsn": dsn, "timeout": TIMEOUT_S}
    async with create_async_engine("postgresql+asyncpg://", connect_args=arguments).connect():
        pass


DRIVERS: dict[str, Driver] = {
    "asyncpg": by_asyncpg,
    "psycopg": by_psycopg,
    "async psycopg": by_async_psycopg,
    "SQLAlchemy psycopg": partial(by_sqlalchemy, psycopg),
    "SQLAlchemy psycopg2": partial(by_sqlalchemy, psycopg2),
    "SQLAlchemy asyncpg": by_async_sqlalchemy,
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[EmbeddedPostgres]:
    """Yield a server without TLS that wants passwords, and admits five ordinary sessions."""
    settings = {"max_connections": "8", "superuser_reserved_connections": "3"}
    with EmbeddedPostgres(auth="scram-sha-256", password="s", settings=settings) as server:
        for statement in (*ROLES.split(";"), *DATABASES):
            run_sql(server.dsn, statement)
        yield server


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


def counted(readings: Readings) -> Counter[str]:
    """Return the failed attempts that a push would report, by kind."""
    samples = readings.samples(catalogue.CONNECT_ERRORS)
    return Counter(
        kind
        for sample in samples
        for kind in [str(sample.attributes[catalogue.KIND])] * int(cast("int", sample.value))
    )


async def assert_fails(readings: Readings, dsn: str, kind: Kind) -> None:
    """Connect with each driver in turn, and see that each counts one failure of `kind`."""
    errors = []  # each keeps its pool alive, and so its numbers
    for name, connect in DRIVERS.items():
        before = counted(readings)
        with pytest.raises(Exception) as raised:  # noqa: PT011 - they have no class in common
            await connect(dsn)
        errors.append(raised.value)
        assert counted(readings) - before == Counter([kind.value]), (name, raised.value)


def app_of(server: EmbeddedPostgres, **query: str) -> str:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{server.dsn_for('app', 'right')}?{words}"


def at(port: int) -> str:
    return f"postgresql://app:right@127.0.0.1:{port}/postgres"


@pytest.mark.parametrize(
    ("login", "kind"),
    [
        (("app", "wrong", "postgres"), Kind.AUTHENTICATION),
        (("app", None, "postgres"), Kind.AUTHENTICATION),
        (("stranger", "right", "postgres"), Kind.AUTHENTICATION),
        (("dormant", "right", "postgres"), Kind.AUTHENTICATION),
        (("app", "right", "closed"), Kind.AUTHENTICATION),
        (("app", "right", "ssl_timed_out"), Kind.UNKNOWN_DATABASE),
        (("app", "right", "crowded"), Kind.TOO_MANY_CONNECTIONS),
        (("crowded", "right", "postgres"), Kind.TOO_MANY_CONNECTIONS),
        (("app", "right", "template0"), Kind.NOT_READY),
    ],
)
async def test_server_that_refuses_a_log_in_gives_the_kind(
    readings: Readings,
    guarded: EmbeddedPostgres,
    login: tuple[str, str | None, str],
    kind: Kind,
) -> None:
    role, password, database = login
    dsn = guarded.dsn_for(role, password, database=database)
    await assert_fails(readings, dsn, kind)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"options": "-c%20nonsense%3D1"}, Kind.WRONG_SETTING),
        ({"options": "-c%20work_mem%3Dabc"}, Kind.WRONG_SETTING),
        ({"options": "-c%20max_connections%3D5"}, Kind.WRONG_SETTING),
        ({"options": "--nonsense"}, Kind.WRONG_SETTING),
        ({"sslmode": "require"}, Kind.TLS),
        ({"target_session_attrs": "standby"}, Kind.NOT_READY),
        ({"target_session_attrs": "read-only"}, Kind.NOT_READY),
    ],
)
async def test_setting_that_a_server_cannot_satisfy_gives_the_kind(
    readings: Readings,
    guarded: EmbeddedPostgres,
    query: dict[str, str],
    kind: Kind,
) -> None:
    await assert_fails(readings, app_of(guarded, **query), kind)


async def test_role_that_does_not_exist_is_not_trusted(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    await assert_fails(readings, postgres.dsn_for("stranger"), Kind.AUTHENTICATION)


@pytest.mark.parametrize(("ordinary", "of_superuser"), [(5, 0), (5, 3)])
async def test_full_server_has_too_many_connections_reserved_slots_or_not(
    readings: Readings,
    guarded: EmbeddedPostgres,
    ordinary: int,
    of_superuser: int,
) -> None:
    dsns = [guarded.dsn_for("app", "right")] * ordinary + [guarded.dsn] * of_superuser
    with ExitStack() as held:
        for dsn in dsns:
            held.enter_context(psycopg.connect(dsn))
        await assert_fails(readings, app_of(guarded), Kind.TOO_MANY_CONNECTIONS)
    assert wait_until(lambda: is_free(guarded))


def is_free(server: EmbeddedPostgres) -> bool:
    """Return whether the server has noticed that all other sessions have gone.

    Until then it may be so full that it does not even admit the question.
    """
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with suppress(psycopg.OperationalError):
        return run_sql(server.dsn, f"SELECT count(*) FROM pg_stat_activity WHERE {others}") == [
            (0,)
        ]
    return False


def admits(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


async def test_server_that_shuts_down_is_not_ready(readings: Readings) -> None:
    with EmbeddedPostgres() as server:
        holder = psycopg.connect(server.dsn)
        os.kill(server.pid, signal.SIGTERM)  # it waits for its last session, and admits no other
        assert wait_until(lambda: not admits(server.dsn))
        await assert_fails(readings, server.dsn, Kind.NOT_READY)
        holder.close()


@pytest.mark.parametrize(
    ("sqlstate", "message", "kind"),
    [
        ("57P03", "the database system is starting up", Kind.NOT_READY),
        ("57P03", "the database system is in recovery mode", Kind.NOT_READY),
        ("57P02", "terminating connection because of crash of another process", Kind.NOT_READY),
        ("57014", "canceling authentication due to timeout", Kind.TIMEOUT),
        ("28000", 'no pg_hba.conf entry for host "::1", SSL off', Kind.AUTHENTICATION),
        ("XX000", "cache lookup failed", Kind.OTHER),
    ],
)
async def test_answer_of_a_server_gives_the_kind(
    readings: Readings, sqlstate: str, message: str, kind: Kind
) -> None:
    async with answering(sqlstate, message) as port:
        await assert_fails(readings, at(port), kind)


@pytest.mark.parametrize("by_reset", [False, True])
@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
async def test_server_that_hangs_up_resets(
    readings: Readings, sslmode: str, by_reset: bool
) -> None:
    async with hanging_up(by_reset=by_reset) as port:
        await assert_fails(readings, f"{at(port)}?sslmode={sslmode}", Kind.RESET)


async def test_server_that_never_answers_times_out(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async with BlackHole(postgres.port) as hole:
        hole.swallow()
        await assert_fails(readings, at(hole.port), Kind.TIMEOUT)


@pytest.mark.parametrize(
    ("dsn", "kind"),
    [
        ("postgresql://app@nohost.invalid/postgres", Kind.NAME_RESOLUTION),
        ("postgresql://app@/postgres?host=/nonexistent", Kind.REFUSED),
        # There is no route to it, or it is a broadcast, which TCP may not use.
        ("postgresql://app@255.255.255.255/postgres", Kind.UNREACHABLE),
    ],
)
async def test_address_that_leads_nowhere_gives_the_kind(
    readings: Readings, dsn: str, kind: Kind
) -> None:
    await assert_fails(readings, dsn, kind)


async def test_port_where_nothing_listens_refuses(readings: Readings) -> None:
    [port] = free_ports([0])
    await assert_fails(readings, at(port), Kind.REFUSED)


async def test_host_that_answers_explains_more_than_one_that_refuses(
    readings: Readings, guarded: EmbeddedPostgres
) -> None:
    [port] = free_ports([0])
    hosts = f"127.0.0.1:{port},127.0.0.1:{guarded.port}"
    dsn = f"postgresql://app:wrong@{hosts}/postgres"
    await assert_fails(readings, dsn, Kind.AUTHENTICATION)


@asynccontextmanager
async def a_pool_that_tries_in_the_background(kind: str, **options: Any) -> AsyncIterator[Any]:
    """Yield a psycopg_pool that keeps a connection open, and when it has given up."""
    gave_up = asyncio.Event()
    loop = asyncio.get_running_loop()
    pool_class: Any = {
        "sync": psycopg_pool.ConnectionPool,
        "async": psycopg_pool.AsyncConnectionPool,
    }[kind]
    pool = pool_class(
        at(free_ports([0])[0]),
        min_size=1,
        open=False,
        reconnect_timeout=2,
        reconnect_failed=lambda _: loop.call_soon_threadsafe(gave_up.set),
        **options,
    )
    await done(pool.open())
    try:
        yield pool, gave_up
    finally:
        await done(pool.close())


async def done(result: Any) -> Any:
    """Return what either kind of pool returns."""
    return await result if inspect.isawaitable(result) else result


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_attempts_of_psycopg_pool_in_the_background_count_once_each(
    readings: Readings, kind: str
) -> None:
    async with a_pool_that_tries_in_the_background(kind) as (pool, gave_up):
        async with asyncio.timeout(20):
            await gave_up.wait()
        failed = pool.get_stats()["connections_errors"]
        assert failed > 1
        assert counted(readings) == Counter({"refused": failed})
    assert readings.value(catalogue.CHECKOUTS) == 0


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_pool_that_was_made_before_us_counts_its_attempts_from_now_on(kind: str) -> None:
    async with a_pool_that_tries_in_the_background(kind) as (pool, gave_up):
        before = pool.get_stats().get("connections_errors", 0)  # the key is not there at zero
        with instrumented() as readings:
            async with asyncio.timeout(20):
                await gave_up.wait()
            after = pool.get_stats()["connections_errors"]
            assert 0 < counted(readings)["refused"] <= after - before
