"""Remember which cells passed, for the document."""

import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import sqlalchemy

from conformance.results import RESULTS_VARIABLE

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
        told = json.dumps({"passed": passed, "versions": versions})
        (Path(folder) / f"sqlalchemy-{sqlalchemy.__version__}.json").write_text(told)
