"""A real PgBouncer for tests; skips where the system's package is missing, but in CI."""

import os
from collections.abc import Iterator

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
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
