"""Each cure of check C6 works with the real driver: the pool reports the keepalive afterwards."""

import re
import socket
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope import catalogue
from poolscope_exporter.core.checks.connection_life import check_keepalive
from poolscope_exporter.core.checks.model import PoolSettings
from poolscope_exporter.core.checks.thresholds import DEFAULTS, ThresholdId
from poolscope_exporter.core.model.idle_timeouts import declared
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented

PAGE = Path(__file__).parents[4] / "docs" / "configuration-checks.md"
ASKED = "SELECT current_setting('tcp_keepalives_idle')"


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


def the_cure(library: str, driver: str, keepalive_s: float | None) -> dict[str, Any]:
    """Return the arguments that the cure names, as it prints them."""
    pool = PoolSettings(library=library, driver=driver, keepalive_s=keepalive_s)
    check = check_keepalive(pool, declared(None, 900.0), DEFAULTS[ThresholdId.C6])
    found = re.search(r" with (\w+)=(\{.*\}): the NAT", str(check and check.cure))
    assert found, check
    return {found[1]: literal_eval(found[2])}


def url(server: EmbeddedPostgres, driver: str) -> str:
    return server.dsn.replace("postgresql://", f"postgresql+{driver}://")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("before", [{}, {"keepalives": 0}])
def test_engine_of_a_libpq_driver(
    readings: Readings, postgres: EmbeddedPostgres, driver: str, before: dict[str, int]
) -> None:
    engine = create_engine(url(postgres, driver), connect_args=before)
    engine.connect().close()
    unsafe = readings.value(catalogue.POOL_KEEPALIVE)
    engine.dispose()
    assert unsafe != 300
    cure = the_cure("sqlalchemy", driver, unsafe)
    engine = create_engine(
        url(postgres, driver), connect_args={**before, **cure.pop("connect_args")}, **cure
    )
    engine.connect().close()
    assert 300 in keepalives(readings)
    engine.dispose()


def test_pool_of_psycopg(readings: Readings, postgres: EmbeddedPostgres) -> None:
    cure = the_cure("psycopg_pool", "psycopg", 7200.0)
    with psycopg_pool.ConnectionPool(postgres.dsn, min_size=1, open=True, **cure) as pool:
        pool.wait()
        assert keepalives(readings) == [300]


async def test_pool_of_asyncpg_asks_the_server(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    cure = the_cure("asyncpg", "asyncpg", 0.0)
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1, **cure) as pool:
        assert await pool.fetchval(ASKED) == "300"
        assert keepalives(readings) == [300]


async def test_engine_of_asyncpg_asks_the_server(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    cure = the_cure("sqlalchemy", "asyncpg", 0.0)
    engine = create_async_engine(url(postgres, "asyncpg"), **cure)
    async with engine.connect() as connection:
        assert await connection.scalar(text(ASKED)) == "300"
    assert keepalives(readings) == [300]
    await engine.dispose()


@pytest.mark.parametrize(
    ("asked", "keepalive_s"), [("5min", 300), ("1h", 3600), ("0", 0), ("90 s", 90)]
)
async def test_what_asyncpg_asks_of_the_server_is_read_in_the_servers_units(
    readings: Readings, postgres: EmbeddedPostgres, asked: str, keepalive_s: float
) -> None:
    settings = {"tcp_keepalives_idle": asked}
    pool = asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1, server_settings=settings)
    async with pool:
        assert keepalives(readings) == [keepalive_s]


def the_class_of_the_page() -> Any:
    """Return the class that the page shows, made from its text."""
    [code] = re.findall(r"```python\n(class KeptAlive.*?)\n\n", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"asyncpg": asyncpg, "socket": socket}
    exec(code, names)
    return names["KeptAlive"]


async def test_sockets_of_asyncpg_take_the_class_of_the_page(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    kept_alive = the_class_of_the_page()
    pool = asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1, connection_class=kept_alive)
    async with pool:
        assert await pool.fetchval("SELECT 1") == 1
        assert keepalives(readings) == [300]


async def test_sockets_of_an_engine_with_asyncpg_take_the_class_of_the_page(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    given = {"connection_class": the_class_of_the_page()}
    engine = create_async_engine(url(postgres, "asyncpg"), connect_args=given)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    assert keepalives(readings) == [300]
    await engine.dispose()


def keepalives(readings: Readings) -> list[Any]:
    return [sample.value for sample in readings.samples(catalogue.POOL_KEEPALIVE)]
