"""What one run of the suite found, as it is handed to the document."""

import json
from dataclasses import dataclass
from pathlib import Path

RESULTS_VARIABLE = "CONFORMANCE_RESULTS"
"""Names the folder to write to; without it, nothing is written."""


@dataclass(frozen=True, slots=True)
class Run:
    """The cells that passed, by name, and the versions that they passed with."""

    passed: frozenset[str]
    versions: dict[str, str]


def read_runs(folder: Path) -> list[Run]:
    """Return the runs of a folder, the newest SQLAlchemy first."""
    told = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    runs = [Run(frozenset(one["passed"]), one["versions"]) for one in told]
    return sorted(runs, key=lambda run: version_key(run.versions["SQLAlchemy"]), reverse=True)


def version_key(text: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in text.split(".")]
