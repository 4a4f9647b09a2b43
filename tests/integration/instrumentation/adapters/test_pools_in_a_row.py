"""Real pools of each library that come and go are one row, with the totals of all of them."""

import sys
from collections.abc import Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import django  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from django.conf import settings  # type: ignore[import-untyped]
from django.db.utils import ConnectionHandler  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from poolscope import catalogue
from poolscope.recording.pool_rows.row import WatchedPool
from poolscope_exporter.core.checks.library_cures import MADE_BY_DJANGO
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.processes.forked import in_a_child

POOLS = 12


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented(max_pools=3) as readings:
        yield readings
        registry = readings.instrumentation.registry
        assert registry.last_hook_error is None
        assert registry.pools_refused == 0


def rows(readings: Readings) -> dict[str, WatchedPool]:
    named = readings.instrumentation.registry.named_pools()
    return {identity.name: row for identity, row in named}


def use_engine(postgres: EmbeddedPostgres, **options: Any) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, **options)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()


async def use_async_engine(postgres: EmbeddedPostgres, **options: Any) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, **options)
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    await engine.dispose()


async def use_asyncpg(postgres: EmbeddedPostgres) -> None:
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=2) as pool:
        await pool.fetchval("select 1")


async def use_psycopg(postgres: EmbeddedPostgres) -> None:
    pool: Any = psycopg_pool.ConnectionPool(postgres.dsn, min_size=1, max_size=2, open=False)
    with pool, pool.connection() as connection:
        connection.execute("select 1")


async def use_async_psycopg(postgres: EmbeddedPostgres) -> None:
    pool = psycopg_pool.AsyncConnectionPool(postgres.dsn, min_size=1, max_size=2, open=False)
    async with pool, pool.connection() as connection:
        await connection.execute("select 1")


async def use_sync_engine(postgres: EmbeddedPostgres) -> None:
    use_engine(postgres)


async def use_null_engine(postgres: EmbeddedPostgres) -> None:
    use_engine(postgres, poolclass=NullPool)


LIBRARIES = {
    "engine": use_sync_engine,
    "null engine": use_null_engine,
    "async engine": use_async_engine,
    "asyncpg": use_asyncpg,
    "psycopg": use_psycopg,
    "async psycopg": use_async_psycopg,
}


@pytest.mark.parametrize("use", LIBRARIES.values(), ids=LIBRARIES)
async def test_pools_in_a_row_are_one_row_with_the_checkouts_of_all(
    readings: Readings, postgres: EmbeddedPostgres, use: Any
) -> None:
    for _ in range(POOLS):
        await use(postgres)
    [(name, row)] = rows(readings).items()
    assert name == "postgres"
    assert row.generation == POOLS
    assert row.line is not None
    assert row.line.rpartition(":")[0].endswith("test_pools_in_a_row.py")
    assert readings.value(catalogue.CHECKOUTS) == POOLS
    assert readings.value(catalogue.CHECKINS) == POOLS
    assert (readings.used, readings.idle) == (0, 0)


async def test_the_finding_names_the_line_that_makes_an_engine_for_each_request(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    for _ in range(POOLS):
        use_engine(postgres)
    samples = list(readings.instrumentation.pusher.push_samples(is_partial=False))
    [made] = [each for each in samples if each.metric is catalogue.POOLS_MADE]
    assert made.value == POOLS
    assert str(made.attributes[catalogue.CALL_SITE]).rpartition(":")[0].endswith("in_a_row.py")


async def test_an_engine_that_lives_has_a_row_of_its_own(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, pool_size=7)
    with engine.connect():
        for _ in range(POOLS):
            use_engine(postgres)
        assert {name: row.generation for name, row in rows(readings).items()} == {
            "postgres": 1,
            "postgres-2": POOLS,
        }
    engine.dispose()


def a_task(postgres: EmbeddedPostgres) -> None:
    """Use Django's pool as a task of Celery does, and close it as Celery does after the task."""
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
        cursor.execute("select 1")
    connection.close()
    connection.close_pool()


def counts(readings: Readings) -> list[Any]:
    """Return the names of the rows, and the checkouts of all of them."""
    return [sorted(rows(readings)), readings.total(catalogue.CHECKOUTS)]


def test_djangos_pool_that_celery_closes_after_each_task_is_one_row(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    for _ in range(POOLS):
        a_task(postgres)
    assert counts(readings) == [["postgres"], POOLS]


def test_djangos_pool_is_made_by_django_and_not_by_the_line_of_the_first_query(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    for _ in range(3):
        a_task(postgres)
    samples = list(readings.instrumentation.pusher.push_samples(is_partial=False))
    [made] = [each for each in samples if each.metric is catalogue.POOLS_MADE]
    assert str(made.attributes[catalogue.CALL_SITE]).startswith(MADE_BY_DJANGO)
    assert made.value == 3
    [row] = rows(readings).values()
    assert row.line is not None
    assert row.line.startswith(MADE_BY_DJANGO)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_worker_counts_its_own_tasks_in_one_row(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    for _ in range(3):
        a_task(postgres)

    def work() -> list[Any]:
        for _ in range(5):
            a_task(postgres)
        return counts(readings)

    assert in_a_child(work) == [["postgres"], 5]
    a_task(postgres)
    assert counts(readings) == [["postgres"], 4]
