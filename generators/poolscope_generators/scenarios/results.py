"""What the runs found, as it is handed to the document."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_generators.scenarios.scenario import (
    Declared,
    Expected,
    Phase,
    Runs,
    Scenario,
    Truth,
    Watcher,
)


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


def write_run(run: Run, declared: Declared, folder: Path) -> None:
    """Write a run, and what was declared when it ran, into a folder of results."""
    name = run.where.replace(" ", "-").lower()
    told = {**asdict(run), "declared": asdict(declared)}
    (folder / f"{name}.json").write_text(json.dumps(told))


def read_runs(folder: Path) -> tuple[Declared, list[Run]]:
    """Return what the runs of a folder declare, and the runs by where they ran."""
    told = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    runs = [Run(one["where"], tuple(Outcome(**each) for each in one["outcomes"])) for one in told]
    return _declared(told[0]["declared"]) if told else Declared((), {}), runs


def _declared(told: dict[str, Any]) -> Declared:
    scenarios = tuple(map(_scenario, told["scenarios"]))
    return Declared(scenarios, told["on_the_way"], told["by_incidents"])


def _scenario(told: dict[str, Any]) -> Scenario:
    expected = told["expected"]
    verdict, diagnosis = expected["verdict"], expected["diagnosis"]
    return Scenario(
        told["behaviour"],
        Truth(told["truth"]),
        Expected(
            Verdict(verdict) if verdict else None,
            expected["link"],
            Diagnosis(diagnosis) if diagnosis else None,
            tuple(expected["on_the_way"]),
            expected["blocked_by"],
        ),
        Watcher(told["watcher"]),
        Phase(told["phase"]),
        Runs(told["runs"]),
        told["by_route"],
        told["is_late"],
    )
