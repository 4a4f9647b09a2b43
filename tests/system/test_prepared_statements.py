"""C15 by a real PgBouncer, held against what becomes of the application's own statements."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import psycopg_pool
import pytest
from psycopg import Error as PsycopgError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from support.applications.apps import instrumented
from support.exporter.exporter_process import (
    PUSH_INTERVAL_S,
    ExporterProcess,
    run_to_the_end,
)
from support.pgbouncer import (
    program_version,
    require_pgbouncer,
    statements_untracked,
    tracks_statements,
)
from support.processes.child_processes import wait_until

ROUNDS, CALLERS = 20, 6
QUERIES = [f"SELECT {number}, pg_sleep(0.01)" for number in range(3)]
"""They last, so that callers at once need both server connections, however slow the machine is."""

WARNS = re.compile(
    r"""^poolscope_config_check{(?=.*check_id="C15")(?=.*result="warn").*} 1.0$""", re.MULTILINE
)
KEEPS = re.compile(
    r"""^poolscope_pool_prepared_statements{.*poolscope_setting="statement_cache_size".*} 1.0$""",
    re.MULTILINE,
)

Call = Callable[[str], Awaitable[object]]
"""Run one query on a connection of the application's pool."""


async def failures(call: Call) -> int:
    """Return how many queries fail, of a few callers at once that repeat the same ones."""
    failed = 0
    for _ in range(ROUNDS):
        calls = (call(QUERIES[number % len(QUERIES)]) for number in range(CALLERS))
        # In one order all the time, each might get the same server connection again and again.
        shuffled = random.sample(list(calls), CALLERS)
        answers = await asyncio.gather(*shuffled, return_exceptions=True)
        errors = [each for each in answers if isinstance(each, BaseException)]
        assert all(isinstance(each, DBAPIError | asyncpg.PostgresError | PsycopgError)
                   for each in errors), errors  # fmt: skip
        failed += len(errors)
    return failed


async def sqlalchemy_over_asyncpg(dsn: str, look: Callable[[], None], **arguments: Any) -> int:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=CALLERS, connect_args=arguments)

    async def call(query: str) -> None:
        async with engine.connect() as connection:
            await connection.execute(text(query))

    try:
        failed = await failures(call)
        await asyncio.to_thread(look)
        return failed
    finally:
        await engine.dispose()


async def asyncpg_pool(dsn: str, look: Callable[[], None], **arguments: Any) -> int:
    pool = await asyncpg.create_pool(dsn, min_size=CALLERS, max_size=CALLERS, **arguments)
    failed = await failures(pool.fetch)
    await asyncio.to_thread(look)
    pool.terminate()
    return failed


async def psycopg_pools(dsn: str, look: Callable[[], None], **arguments: Any) -> int:
    pool = psycopg_pool.AsyncConnectionPool(
        dsn, min_size=CALLERS, max_size=CALLERS, kwargs=arguments, open=False
    )

    async def call(query: str) -> None:
        async with pool.connection() as connection:
            await connection.execute(query)

    async with pool:
        failed = await failures(call)
        await asyncio.to_thread(look)
    return failed


Application = Callable[..., Coroutine[Any, Any, int]]

KEEPING: dict[str, tuple[Application, dict[str, Any]]] = {
    "sqlalchemy": (sqlalchemy_over_asyncpg, {}),
    "asyncpg": (asyncpg_pool, {}),
    "psycopg": (psycopg_pools, {"prepare_threshold": 0}),
}
CURED: dict[str, tuple[Application, dict[str, Any]]] = {
    "sqlalchemy": (
        sqlalchemy_over_asyncpg,
        {"statement_cache_size": 0, "prepared_statement_cache_size": 0},
    ),
    "asyncpg": (asyncpg_pool, {"statement_cache_size": 0}),
    "psycopg": (psycopg_pools, {"prepare_threshold": None}),
}


@contextmanager
def bounced(postgres: EmbeddedPostgres, **settings: Any) -> Iterator[tuple[PgBouncer, Any]]:
    """Yield a bouncer, and an exporter that asks it."""
    require_pgbouncer()
    with (
        PgBouncer(postgres, **settings) as bouncer,
        ExporterProcess(
            "--poll-interval=0.2", "--dsn", postgres.dsn, "--pgbouncer", bouncer.console
        ) as exporter,
    ):
        yield bouncer, exporter


def untracked_transactions() -> dict[str, Any]:
    return {"pool_mode": "transaction", **statements_untracked()}


def played(bouncer: PgBouncer, exporter: ExporterProcess, kind: tuple[Application, Any]) -> Any:
    """Return how many queries of an application failed, and what C15 says of its pool."""
    application, arguments = kind
    found: dict[str, Any] = {}

    def check() -> bool:
        told = exporter.get("/api/v1/pools").json()
        checks = [each for pool in told["pools"] for each in pool["config_checks"]]
        found.update({each["check_id"]: each for each in checks})
        # Until the first push of the settings it is unknown.
        return bool(found.get("C15", {}).get("value"))

    def look() -> None:
        assert wait_until(check), exporter.log

    with instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S):
        failed = asyncio.run(application(bouncer.dsn, look, **arguments))
    return failed, found["C15"]


@pytest.mark.parametrize("driver", KEEPING)
def test_statements_that_are_kept_before_a_bouncer_that_does_not_track_them_warn(
    postgres: EmbeddedPostgres, driver: str
) -> None:
    with bounced(postgres, pool_mode="transaction", **statements_untracked()) as (
        bouncer,
        exporter,
    ):
        failed, check = played(bouncer, exporter, KEEPING[driver])

    assert failed > 0
    assert check["result"] == "warn"
    assert "pool_mode transaction, max_prepared_statements 0" in check["safe_range"]
    for name, value in CURED[driver][1].items():
        assert f"{name}={value}" in check["cure"]
    assert "max_prepared_statements above 0" in check["cure"]


@pytest.mark.parametrize("driver", CURED)
def test_a_driver_that_keeps_none_is_safe(postgres: EmbeddedPostgres, driver: str) -> None:
    with bounced(postgres, pool_mode="transaction", **statements_untracked()) as (
        bouncer,
        exporter,
    ):
        failed, check = played(bouncer, exporter, CURED[driver])
    assert (failed, check["result"], check["value"]) == (0, "ok", "none kept")


@pytest.mark.parametrize("driver", KEEPING)
def test_a_bouncer_that_tracks_statements_is_safe(postgres: EmbeddedPostgres, driver: str) -> None:
    if not tracks_statements():
        pytest.skip(f"{program_version()} tracks no prepared statements: install 1.22 or later")
    settings = {"pool_mode": "transaction", "max_prepared_statements": 100}
    with bounced(postgres, **settings) as (bouncer, exporter):
        failed, check = played(bouncer, exporter, KEEPING[driver])
    assert (failed, check["result"]) == (0, "ok")
    assert check["value"].startswith("kept by ")


@pytest.mark.parametrize("driver", KEEPING)
def test_a_bouncer_that_pools_sessions_is_safe(postgres: EmbeddedPostgres, driver: str) -> None:
    settings = {"pool_mode": "session", "default_pool_size": CALLERS}
    with bounced(postgres, **settings) as (bouncer, exporter):
        failed, check = played(bouncer, exporter, KEEPING[driver])
    assert (failed, check["result"]) == (0, "ok")


def test_the_finding_is_in_the_metrics_on_the_page_and_in_the_audit(
    postgres: EmbeddedPostgres,
) -> None:
    seen: dict[str, Any] = {}

    with bounced(postgres, pool_mode="transaction", **statements_untracked()) as (
        bouncer,
        exporter,
    ):

        def look() -> None:
            def is_found() -> bool:
                seen["metrics"] = exporter.get("/metrics").text
                return bool(WARNS.search(seen["metrics"]))

            assert wait_until(is_found), exporter.log
            seen["page"] = exporter.pages()
            seen["audit"] = run_to_the_end("audit", "--url", exporter.web)
            seen["json"] = run_to_the_end("audit", "--url", exporter.web, "--json")

        with instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S):
            asyncio.run(sqlalchemy_over_asyncpg(bouncer.dsn, look))

    kept_by = "kept by statement_cache_size, prepared_statement_cache_size"
    assert KEEPS.search(seen["metrics"])
    assert f"<td>{kept_by}</td>" in seen["page"]
    assert seen["audit"].returncode == 1
    assert f"  warn      C15  prepared statements: {kept_by}" in seen["audit"].stdout
    [pool] = json.loads(seen["json"].stdout)["pools"]
    assert [each["result"] for each in pool["config_checks"] if each["check_id"] == "C15"] == [
        "warn"
    ]
