"""Real PostgreSQL servers for tests: one per major version and test session, made when used.

Where `POSTGRES_PROGRAMS` names a folder of programs, tests to which the version does not matter,
and those that want every version, run on these: `make test-postgres` sets it.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Major, Programs

GIVEN_PROGRAMS = os.environ.get("POSTGRES_PROGRAMS")


@pytest.fixture(scope="session")
def postgres_18() -> Iterator[EmbeddedPostgres]:
    """Yield the newest supported server, shared by the test session: leave it running."""
    with EmbeddedPostgres(major=18) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_16() -> Iterator[EmbeddedPostgres]:
    """Yield the oldest server that the wheel carries, shared by the test session."""
    with EmbeddedPostgres(major=16) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_given() -> Iterator[EmbeddedPostgres]:
    """Yield the server of the programs that the environment names."""
    programs = Programs(Path(str(GIVEN_PROGRAMS)))
    told = subprocess.run([programs.postgres, "--version"], capture_output=True, check=True)
    [major, *_] = re.findall(rb"\d+", told.stdout)
    with EmbeddedPostgres(programs=programs) as server:
        server.major = cast("Major", int(major))  # no wheel has it, and tests ask for it
        yield server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    """Return a server for tests to which its version does not matter."""
    name = "postgres_given" if GIVEN_PROGRAMS else "postgres_18"
    server: EmbeddedPostgres = request.getfixturevalue(name)
    return server


@pytest.fixture(scope="session", params=["given"] if GIVEN_PROGRAMS else [16, 18])
def every_postgres(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    """Return each server in turn, for SQL that must work on all of them."""
    server: EmbeddedPostgres = request.getfixturevalue(f"postgres_{request.param}")
    return server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder which every account may enter and write, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="poolscope-test-") as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


def run_sql(dsn: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement in its own connection, committed; return its rows, if it has any."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


_SECONDS = count(300)


def a_long_statement() -> str:
    """Return a statement that runs for minutes and that no other test runs on the same server.

    A server goes on with a statement whose client is gone.
    """
    return f"select pg_sleep({next(_SECONDS)})"


async def time_out_once_it_runs(limit: asyncio.Timeout, dsn: str, statement: str) -> None:
    """Let a time limit run out when the server runs the statement: no fixed time is surely so."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
    while (await asyncio.to_thread(run_sql, dsn, running, statement)) != [(1,)]:
        pass
    limit.reschedule(asyncio.get_running_loop().time())


def make_role(
    server: EmbeddedPostgres,
    name: str,
    *,
    password: str | None = None,
    member_of: tuple[str, ...] = (),
) -> str:
    """Make the role anew, with a log-in and nothing but `member_of`; return its DSN."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password))
        )
        for group in member_of:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
    return server.dsn_for(name, password)
