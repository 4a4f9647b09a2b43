"""Connections that a fork copies into a child are counted when the child uses them."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from sqlalchemy import Engine, create_engine, text

from poolscope import catalogue
from poolscope.pushing.samples import Sample
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented
from support.processes.forked import in_a_child

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]

DRIVERS = ("psycopg", "psycopg2")
MakeEngine = Callable[..., Engine]


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings


@pytest.fixture
def an_engine(postgres: EmbeddedPostgres) -> Iterator[MakeEngine]:
    """Yield what makes an engine for a driver, with its options; all are closed at the end."""
    made = []

    def make(driver: str, **options: Any) -> Engine:
        url = postgres.dsn.replace("postgresql://", f"postgresql+{driver}://")
        made.append(create_engine(url, **{"pool_size": 2, "max_overflow": 0, **options}))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def use(engine: Engine) -> int:
    """Run a statement; return the backend pid of its session."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def counted(readings: Readings) -> list[float | None]:
    """Return the checkouts, those of inherited connections, and our own errors."""
    metrics = catalogue.CHECKOUTS, catalogue.INHERITED_CHECKOUTS, catalogue.HOOK_ERRORS
    return [readings.value(metric) for metric in metrics]


def listed(readings: Readings) -> list[Sample]:
    """Return the inherited connections that the next push lists."""
    samples = readings.instrumentation.pusher.push_samples(is_partial=False)
    return [sample for sample in samples if sample.metric is catalogue.INHERITED_CONNECTION]


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_use_of_the_parents_connection_is_counted(
    an_engine: MakeEngine, readings: Readings, driver: str
) -> None:
    engine = an_engine(driver)
    pid = use(engine)

    def work() -> list[Any]:
        pids = [use(engine) for _ in range(3)]
        [entry] = listed(readings)
        return [pids, counted(readings), dict(entry.attributes), entry.value]

    pids, counts, attributes, unused_s = in_a_child(work)
    assert pids == [pid] * 3
    assert counts == [3, 3, 0]
    assert attributes[catalogue.BACKEND_PID] == pid
    assert attributes[catalogue.LOCAL_ADDRESS] == "127.0.0.1"
    assert attributes[catalogue.LOCAL_PORT] > 0
    assert attributes[catalogue.CODE_FILE_PATH].endswith("test_inherited_connections.py")
    assert 0 < unused_s < 60
    assert [use(engine), counted(readings)] == [pid, [2, 0, 0]]
    assert listed(readings) == []


def test_an_inherited_connection_that_is_out_is_listed_as_in_use(
    an_engine: MakeEngine, readings: Readings
) -> None:
    engine = an_engine("psycopg")
    use(engine)

    def work() -> list[float]:
        with engine.connect():
            return [entry.value for entry in listed(readings)]  # type: ignore[misc]  # gauges

    assert in_a_child(work) == [0.0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_child_that_drops_the_parents_connections_counts_nothing(
    an_engine: MakeEngine, readings: Readings, driver: str
) -> None:
    engine = an_engine(driver)
    pid = use(engine)

    def work() -> list[Any]:
        engine.dispose(close=False)
        return [use(engine) != pid, use(engine) != pid, counted(readings), len(listed(readings))]

    assert in_a_child(work) == [True, True, [2, 0, 0], 0]
    assert use(engine) == pid


def test_a_child_that_does_not_use_the_pool_counts_nothing(
    an_engine: MakeEngine, readings: Readings
) -> None:
    engine = an_engine("psycopg")
    use(engine)
    found = in_a_child(lambda: [counted(readings), len(listed(readings))])
    assert found == [[0, 0, 0], 0]


def test_a_connection_that_replaces_the_parents_is_the_childs_own(
    an_engine: MakeEngine, readings: Readings
) -> None:
    engine = an_engine("psycopg", pool_size=1)
    pid = use(engine)

    def work() -> list[Any]:
        with engine.connect() as connection:
            connection.invalidate()
        own = [use(engine) != pid, use(engine) != pid]
        return [own, counted(readings), [dict(entry.attributes) for entry in listed(readings)]]

    own, counts, [entry] = in_a_child(work)
    assert own == [True, True]
    assert counts == [3, 1, 0]
    # It is listed after its end too: a socket that two processes use often breaks at once.
    assert entry[catalogue.BACKEND_PID] == pid


def test_a_child_of_a_child_inherits_too(an_engine: MakeEngine, readings: Readings) -> None:
    engine = an_engine("psycopg")
    use(engine)

    def use_and_fork() -> list[Any]:
        use(engine)
        return [counted(readings), in_a_child(lambda: [use(engine) and 1, counted(readings)])]

    assert in_a_child(use_and_fork) == [[1, 1, 0], [1, [1, 1, 0]]]


def test_a_sqlite_database_in_memory_is_copied_and_not_shared(readings: Readings) -> None:
    engine = create_engine("sqlite://")
    engine.connect().close()

    def work() -> list[float | None]:
        engine.connect().close()
        return counted(readings)

    assert in_a_child(work) == [1, 0, 0]


def test_the_use_of_a_psycopg_pool_of_the_parent_is_counted(
    postgres: EmbeddedPostgres, readings: Readings
) -> None:
    with psycopg_pool.ConnectionPool(postgres.dsn, min_size=1, max_size=2, open=True) as pool:
        pool.wait()

        def work() -> list[Any]:
            for _ in range(2):
                with pool.connection() as connection:
                    connection.execute("SELECT 1")
            return [counted(readings), len(listed(readings))]

        with pool.connection() as connection:
            connection.execute("SELECT 1")
        assert in_a_child(work) == [[2, 2, 0], 1]
        assert counted(readings) == [1, 0, 0]


def test_the_use_of_an_asyncpg_pool_of_the_parent_is_counted(
    postgres: EmbeddedPostgres, readings: Readings
) -> None:
    loop = asyncio.new_event_loop()

    async def open_pool() -> Any:
        return await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1)

    pool = loop.run_until_complete(open_pool())

    async def ask() -> None:
        assert await pool.fetchval("SELECT 1") == 1

    def work() -> list[Any]:
        for _ in range(2):
            loop.run_until_complete(ask())
        return [counted(readings), len(listed(readings))]

    loop.run_until_complete(ask())
    try:
        assert in_a_child(work) == [[2, 2, 0], 1]
        assert counted(readings) == [1, 0, 0]
    finally:
        pool.terminate()
        loop.run_until_complete(asyncio.sleep(0))  # the transport closes in the next turn
        loop.close()


def test_the_log_names_pool_pid_line_and_cure_once(
    an_engine: MakeEngine, readings: Readings, caplog: pytest.LogCaptureFixture
) -> None:
    engine = an_engine("psycopg")
    pid = use(engine)

    def work() -> list[Any]:
        messages = readings.instrumentation.pusher._log_messages
        messages.log_inherited()
        use(engine)
        with caplog.at_level(logging.WARNING, "poolscope"):
            messages.log_inherited()
            messages.log_inherited()
        return [os.getpid(), [record.getMessage() for record in caplog.records]]

    child, [message] = in_a_child(work)
    assert f"process {child} uses a connection that another process opened" in message
    assert f"backend pid {pid}" in message
    assert "test_inherited_connections.py:" in message
    assert "engine.dispose(close=False)" in message
