"""The timed runs of a test session, written for the document where the environment says so."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from poolscope_generators.scenarios.timed import CaseOutcome, HoldOutcome, Timed, write_timed

RESULTS_VARIABLE = "TIMED_RESULTS"
"""Names the folder to write to; without it, a part is played and nothing is written."""


class TimedRuns:
    """The outcomes of this test session; `is_whole`: everything is played, for the document."""

    def __init__(self) -> None:
        self.folder = os.environ.get(RESULTS_VARIABLE)
        self._holds: list[HoldOutcome] = []
        self._cases: list[CaseOutcome] = []

    @property
    def patience(self) -> float:
        """Return by which factor the times are longer that a test asks for.

        The document's run is alone on its machine, and its times are exact. Elsewhere other tests
        run meanwhile: there the words are checked, and times only roughly.
        """
        return 1.0 if self.is_whole else 3.0

    @property
    def is_whole(self) -> bool:
        return self.folder is not None

    def add_holds(self, outcomes: Iterable[HoldOutcome]) -> None:
        self._holds += outcomes

    def add_cases(self, outcomes: Iterable[CaseOutcome]) -> None:
        self._cases += outcomes

    def write(self) -> None:
        if self.folder and (self._holds or self._cases):
            timed = Timed(tuple(self._holds), tuple(self._cases))
            write_timed(timed, Path(self.folder), "timed")


@pytest.fixture(scope="session")
def timed_runs() -> Iterator[TimedRuns]:
    """Yield where to add to."""
    runs = TimedRuns()
    yield runs
    runs.write()
