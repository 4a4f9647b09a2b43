"""A PostgreSQL that the wheel does not carry, from the system's package."""

import os
from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs
from poolscope_generators.ports import held_port

OLDEST = 15
"""The oldest major version that is supported."""


def oldest_postgres() -> EmbeddedPostgres:
    """Return a server of the oldest version, not started; skips where there is none, but in CI."""
    folder = Path(f"/usr/lib/postgresql/{OLDEST}/bin")
    if not folder.exists() and "CI" not in os.environ:
        pytest.skip(f"PostgreSQL {OLDEST} is not installed: apt-get install postgresql-{OLDEST}")
    return EmbeddedPostgres(programs=Programs(folder), port=held_port())
