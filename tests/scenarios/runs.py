"""The runs of a test session, written for the document where the environment says so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolscope_generators.scenarios.results import Run, write_run
from scenarios.table import DECLARED

RESULTS_VARIABLE = "SCENARIO_RESULTS"
"""Names the folder to write to; without it, nothing is written."""


class RecordedRuns:
    """The runs of this test session."""

    def __init__(self) -> None:
        self.found: list[Run] = []


@pytest.fixture(scope="session")
def scenario_runs() -> Iterator[RecordedRuns]:
    """Yield where to add to; each run is written where the variable says so."""
    runs = RecordedRuns()
    yield runs
    if folder := os.environ.get(RESULTS_VARIABLE):
        for run in runs.found:
            write_run(run, DECLARED, Path(folder))
