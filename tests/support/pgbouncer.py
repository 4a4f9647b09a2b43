"""A real PgBouncer for tests; skips where the system's package is missing, but in CI."""

import os
import subprocess
from collections.abc import Iterator
from typing import TypedDict

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.pgbouncer.rows import version_of
from poolscope_generators.incident.pgbouncer import PROGRAM, PgBouncer


@pytest.fixture
def pgbouncer(postgres: EmbeddedPostgres) -> Iterator[PgBouncer]:
    """Yield a bouncer of two server connections, which no other test uses."""
    require_pgbouncer()
    with PgBouncer(postgres) as bouncer:
        yield bouncer


def require_pgbouncer() -> None:
    """Skip the test where there is no PgBouncer; in CI there must be one."""
    if PROGRAM is None and "CI" not in os.environ:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")


def program_version() -> str:
    """Return the first line that the PgBouncer of the tests prints of itself."""
    require_pgbouncer()
    assert PROGRAM is not None
    told = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    return told.stdout.splitlines()[0]


def tracks_statements() -> bool:
    """Return whether this PgBouncer can track prepared statements, for every driver."""
    version = version_of(program_version())
    return version is not None and version >= (1, 22)


class StatementSettings(TypedDict, total=False):
    """The setting of prepared statements, for a PgBouncer that knows it."""

    max_prepared_statements: int


def statements_untracked() -> StatementSettings:
    """Return the setting with which no prepared statement is tracked; from 1.24 on, 200 are."""
    return {"max_prepared_statements": 0} if tracks_statements() else {}
