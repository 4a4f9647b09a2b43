"""Remember which cells passed, for the document."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import sqlalchemy

from conformance.declared import declared
from poolscope_generators.conformance.results import Run, write_run

RESULTS_VARIABLE = "CONFORMANCE_RESULTS"
"""Names the folder to write to; without it, nothing is written."""

LIBRARIES = ("asyncpg", "psycopg", "psycopg-pool")


@pytest.fixture(scope="session")
def passed_cells() -> Iterator[list[str]]:
    """Yield the list to add to; it is written where the variable says so."""
    passed: list[str] = []
    yield passed
    folder = os.environ.get(RESULTS_VARIABLE)
    if folder is not None:
        versions = {name: version(name) for name in LIBRARIES}
        versions |= {"Python": platform.python_version(), "SQLAlchemy": sqlalchemy.__version__}
        write_run(Run(declared(), tuple(passed), versions), Path(folder))
