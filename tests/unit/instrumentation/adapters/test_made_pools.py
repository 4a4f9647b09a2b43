"""Each library's pools are counted by the application's line that makes them."""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import create_engine

import poolscope
from poolscope import catalogue
from poolscope.clock import monotonic
from support.applications.apps import Readings, instrumented
from support.applications.dbapi import an_engine

NOWHERE = "postgresql://app@127.0.0.1:1/orders"
HERE = "test_made_pools.py"


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
        assert readings.instrumentation.registry.last_hook_error is None


def made(readings: Readings) -> dict[str, int]:
    """Return how many pools each line made, by its number."""
    found = readings.instrumentation.registry.creation_lines.count_made(monotonic())
    return {site.rpartition("/")[2]: count for (_, site), count in found.items()}


class OwnPool(psycopg_pool.ConnectionPool[Any]):
    """A class of the application's, with an `__init__` that calls the library's."""

    def __init__(self) -> None:
        super().__init__(NOWHERE, open=False)


def make_own() -> OwnPool:
    return OwnPool()


MAKERS: dict[str, Any] = {
    "engine": lambda: create_engine("sqlite://"),
    "psycopg": lambda: psycopg_pool.ConnectionPool(NOWHERE, open=False),
    "psycopg null": lambda: psycopg_pool.NullConnectionPool(NOWHERE, open=False),
    "own class": make_own,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_pool_is_counted_at_the_line_that_asks_for_it(readings: Readings, make: Any) -> None:
    pools = [make() for _ in range(3)]
    line = inspect.getsourcelines(make)[1] + (make is make_own)
    assert made(readings) == {f"{HERE}:{line}": 3}
    assert len(pools) == 3


async def test_asynchronous_pools_are_counted_at_the_line_that_awaits_them(
    readings: Readings,
) -> None:
    pools = []
    for _ in range(4):
        pools.append(await asyncpg.create_pool(NOWHERE, min_size=0, max_size=1))
        line = sys._getframe().f_lineno - 1
    assert made(readings) == {f"{HERE}:{line}": 4}
    pools += [psycopg_pool.AsyncConnectionPool(NOWHERE, open=False) for _ in range(2)]
    line_of_psycopg = sys._getframe().f_lineno - 1
    assert made(readings) == {f"{HERE}:{line}": 4, f"{HERE}:{line_of_psycopg}": 2}


async def test_a_pool_that_cannot_connect_was_made_all_the_same(readings: Readings) -> None:
    for _ in range(3):
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncpg.create_pool(NOWHERE, min_size=1, max_size=1)
    assert list(made(readings).values()) == [3]


def test_engines_that_were_there_before_are_not_counted_at_the_line_of_instrument() -> None:
    engines = [an_engine() for _ in range(3)]
    with instrumented() as readings:
        assert made(readings) == {}
    assert len(engines) == 3


def test_an_engine_that_gets_a_new_pool_is_still_one(readings: Readings) -> None:
    engine = an_engine()
    for _ in range(3):
        engine.dispose()
        engine.execution_options(isolation_level="AUTOCOMMIT").connect().close()
    assert list(made(readings).values()) == [1]


def test_the_push_names_the_line_at_the_first_pool_of_the_name(readings: Readings) -> None:
    engines = [create_engine("sqlite://") for _ in range(3)]
    line = sys._getframe().f_lineno - 1
    for engine in engines:
        engine.connect().close()
    samples = list(readings.instrumentation.pusher._pools_made())
    [sample] = [each for each in samples if each.metric is catalogue.POOLS_MADE]
    assert sample.value == 3
    assert str(sample.attributes[catalogue.CALL_SITE]).endswith(f"{HERE}:{line}")


async def test_a_pool_that_the_application_names_is_meant_to_be_one_more(
    readings: Readings,
) -> None:
    engines = [create_engine("sqlite://") for _ in range(4)]
    poolscope.name_pool(engines[0], "reports")
    assert list(made(readings).values()) == [3]
    pools = [await asyncpg.create_pool(NOWHERE, min_size=0, max_size=1) for _ in range(2)]
    poolscope.name_pool(pools[0], "jobs")
    pools += [psycopg_pool.ConnectionPool(NOWHERE, open=False) for _ in range(3)]
    poolscope.name_pool(pools[2], "jobs")
    assert sorted(made(readings).values()) == [1, 2, 3]
