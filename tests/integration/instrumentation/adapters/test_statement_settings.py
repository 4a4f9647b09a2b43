"""What each driver keeps prepared is read from its connections, whichever way they were set up."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


def settings(readings: Readings) -> dict[Any, Any]:
    """Return what would be pushed now: 1 or 0 by setting."""
    samples = readings.samples(catalogue.POOL_PREPARED_STATEMENTS)
    return {sample.attributes.get(catalogue.SETTING): sample.value for sample in samples}


def url(server: EmbeddedPostgres, driver: str) -> str:
    return server.dsn.replace("postgresql://", f"postgresql+{driver}://")


@asynccontextmanager
async def used(server: EmbeddedPostgres, driver: str, **options: Any) -> AsyncIterator[Any]:
    """Yield an asynchronous engine that has been used once."""
    engine = create_async_engine(url(server, driver), **options)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        yield engine
    finally:
        await engine.dispose()


def by_command() -> dict[str, int]:
    """Return what psycopg with an older libpq reports beside its threshold."""
    return {} if psycopg.capabilities.has_send_close_prepared() else {"prepared_max": 1}


names_statements = pytest.mark.skipif(
    not hasattr(AsyncAdapt_asyncpg_connection, "_prepared_statement_name_func"),
    reason="this version of SQLAlchemy cannot name prepared statements",
)


def a_name() -> str:
    return f"statement {uuid4()}"


KEEPING, KEPT_NONE = {"prepare_threshold": 1}, {"prepare_threshold": 0}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (1, 1)),
        ({"statement_cache_size": 0}, (0, 0)),
        ({"prepared_statement_cache_size": 0}, (1, 0)),
        ({"statement_cache_size": 0, "prepared_statement_cache_size": 0}, (0, 0)),
        pytest.param(
            {"statement_cache_size": 0, "prepared_statement_name_func": a_name},
            (0, 1),
            marks=names_statements,
        ),
    ],
)
@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}], ids=["kept", "null"])
async def test_sqlalchemy_over_asyncpg(
    readings: Readings,
    postgres: EmbeddedPostgres,
    arguments: dict[str, Any],
    expected: tuple[int, int],
    options: dict[str, Any],
) -> None:
    async with used(postgres, "asyncpg", connect_args=arguments, **options):
        assert settings(readings) == {
            "statement_cache_size": expected[0],
            "prepared_statement_cache_size": expected[1],
        }


@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}], ids=["kept", "null"])
@pytest.mark.parametrize("threshold", [0, 5, None])
async def test_sqlalchemy_over_psycopg(
    readings: Readings, postgres: EmbeddedPostgres, threshold: int | None, options: dict[str, Any]
) -> None:
    arguments = {"prepare_threshold": threshold}
    async with used(postgres, "psycopg", connect_args=arguments, **options):
        expected = KEPT_NONE if threshold is None else KEEPING | by_command()
        assert settings(readings) == expected


@pytest.mark.parametrize("options", [{}, {"poolclass": NullPool}], ids=["kept", "null"])
def test_what_the_application_sets_after_connecting_is_what_counts(
    readings: Readings, postgres: EmbeddedPostgres, options: dict[str, Any]
) -> None:
    engine = create_engine(url(postgres, "psycopg"), **options)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.prepare_threshold = None

    with engine.connect():
        assert settings(readings) == KEPT_NONE
    assert settings(readings) == KEPT_NONE
    engine.dispose()


def test_sqlalchemy_over_psycopg2_has_no_such_setting(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    engine = create_engine(url(postgres, "psycopg2"))
    engine.connect().close()
    assert settings(readings) == {None: 0}
    engine.dispose()


def test_a_driver_that_is_not_known_is_left_out(readings: Readings) -> None:
    engine = create_engine("sqlite://")
    engine.connect().close()
    assert settings(readings) == {}
    engine.dispose()


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 1), (100, 1)])
async def test_asyncpg(
    readings: Readings, postgres: EmbeddedPostgres, size: int, expected: int
) -> None:
    pool = await asyncpg.create_pool(
        postgres.dsn, min_size=0, max_size=1, statement_cache_size=size
    )
    await pool.fetchval("SELECT 1")
    assert settings(readings) == {"statement_cache_size": expected}
    await pool.expire_connections()
    await pool.fetchval("SELECT 1")
    assert settings(readings) == {"statement_cache_size": expected}
    await pool.close()


@pytest.mark.parametrize("kind", [psycopg_pool.ConnectionPool, psycopg_pool.NullConnectionPool])
@pytest.mark.parametrize("threshold", [5, None])
def test_psycopg_pool(
    readings: Readings, postgres: EmbeddedPostgres, kind: Any, threshold: int | None
) -> None:
    arguments = {"prepare_threshold": threshold}
    with kind(postgres.dsn, kwargs=arguments, min_size=0, max_size=1) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        expected = KEPT_NONE if threshold is None else KEEPING | by_command()
        assert settings(readings) == expected


async def test_what_a_pool_configures_is_what_counts(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    async def configure(connection: Any) -> None:
        connection.prepare_threshold = None

    pool = psycopg_pool.AsyncConnectionPool(
        postgres.dsn, configure=configure, min_size=0, max_size=1, open=False
    )
    async with pool, pool.connection() as connection:
        await connection.execute("SELECT 1")
        assert settings(readings) == KEPT_NONE
