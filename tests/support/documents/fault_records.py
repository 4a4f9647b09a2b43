"""What each fault did to the exporter, as measured, for docs/faults.md."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from poolscope_generators.faults import Fault
from support.postgres.watching import Watch

RESULTS_VARIABLE = "FAULTS_RESULTS"
"""Names the file to write to; without it, nothing is written."""


class Faults:
    """The faults of one test run."""

    def __init__(self) -> None:
        self.found: dict[str, Fault] = {}

    def record(self, name: str, watch: Watch, note: str = "") -> None:
        """Keep what the watch saw; `note` says what else is to be known of the outcome."""
        last = watch.shown[-1]
        afterwards = "; ".join(filter(None, [last.judged if last.verdict else "", note]))
        meanwhile = sorted({each.judged for each in watch.while_down() if each.verdict})
        self.add(Fault(name, watch.blind_s(), watch.missed(), meanwhile, afterwards))

    def add(self, fault: Fault) -> None:
        """Keep a row."""
        self.found[fault.name] = fault


@pytest.fixture(scope="session")
def faults() -> Iterator[Faults]:
    """Yield where to record; it is written to the file that the variable names."""
    recorded = Faults()
    yield recorded
    if path := os.environ.get(RESULTS_VARIABLE):
        told = [asdict(fault) for fault in recorded.found.values()]
        Path(path).write_text(json.dumps(told))
