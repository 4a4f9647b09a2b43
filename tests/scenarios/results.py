"""What the runs found, as it is handed to the document."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

RESULTS_VARIABLE = "SCENARIO_RESULTS"
"""Names the folder to write to; without it, nothing is written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said of one scenario in the end, and of its checkout until then."""

    scenario: str
    verdict: str | None
    link: str | None
    diagnosis: str | None
    verdicts: list[str]
    links: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """The outcomes of one run; `where` is the server, and a PgBouncer before it."""

    where: str
    outcomes: tuple[Outcome, ...]


class Runs:
    """The runs of this test session."""

    def __init__(self) -> None:
        self.found: list[Run] = []


@pytest.fixture(scope="session")
def scenario_runs() -> Iterator[Runs]:
    """Yield where to add to; each run is written where the variable says so."""
    runs = Runs()
    yield runs
    if folder := os.environ.get(RESULTS_VARIABLE):
        for run in runs.found:
            name = run.where.replace(" ", "-").lower()
            (Path(folder) / f"{name}.json").write_text(json.dumps(asdict(run)))


def read_runs(folder: Path) -> list[Run]:
    """Return the runs of a folder, by where they ran."""
    told = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [Run(one["where"], tuple(Outcome(**each) for each in one["outcomes"])) for one in told]
