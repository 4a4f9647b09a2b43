"""Each cell of the table: a pool in a situation, our numbers held against the truth."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.case import Case
from conformance.column import Column
from conformance.proxy import Proxy, a_proxy
from conformance.situation import Situation
from conformance.table import COLUMNS, SITUATIONS, absent, cell_name, expected
from conformance.threads import finish
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import instrumented

FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
COLLECTS = (
    pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning"),
    # The libraries say so themselves, and SQLAlchemy 2.0.0 leaves a coroutine behind.
    pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited"),
)


def cells() -> Iterator[Any]:
    for column in COLUMNS:
        for situation in SITUATIONS:
            if absent(situation, column) is None:
                marks = [FORKS] * situation.forks + [*COLLECTS] * situation.collects
                name = cell_name(situation, column)
                yield pytest.param(situation, column, id=name, marks=marks)


@pytest.fixture
def server(postgres: EmbeddedPostgres) -> Iterator[Proxy]:
    with a_proxy(postgres.port) as proxy:
        yield proxy


@pytest.mark.parametrize(("situation", "column"), [*cells()])
def test_what_is_counted_is_what_happened(  # noqa: PLR0917 - what it runs, and with what
    situation: Situation,
    column: Column,
    server: Proxy,
    postgres: EmbeddedPostgres,
    caplog: pytest.LogCaptureFixture,
    passed_cells: list[str],
) -> None:
    # A captured record would keep the traceback, and with it a leaked connection.
    caplog.set_level("CRITICAL", logger="sqlalchemy.pool")
    dsn = postgres.dsn.replace(f":{postgres.port}/", f":{server.port}/")
    with instrumented() as readings:
        case = Case(column, situation.options, server, dsn, readings)
        if column.is_async or situation.on_a_loop:
            counted = asyncio.run(play(situation, case))
        else:
            counted = finish(play(situation, case))
        assert case.readings.instrumentation.registry.hook_errors == 0
    assert counted == expected(situation, column)
    passed_cells.append(cell_name(situation, column))


async def play(situation: Situation, case: Case) -> str:
    await case.pool.open(case.dsn, case.options)
    try:
        await situation.play(case)
        return case.counted()
    finally:
        case.server.release()
        for pool in (case.pool, *case.more_pools):
            await pool.close()
