"""What one run of the conformance suite declares and found, as it is handed to the document."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One situation; its cells are in the order of the columns."""

    title: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """The table that the suite declares, and the names of the cells that a run must prove."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The cells that passed, by name, and the versions that they passed with."""

    declared: Declared
    passed: tuple[str, ...]
    versions: dict[str, str]

    @property
    def missing(self) -> set[str]:
        """Return the cells that the run did not prove."""
        return set(self.declared.wanted) - set(self.passed)


def write_run(run: Run, folder: Path) -> None:
    """Write a run into a folder of results."""
    path = folder / f"sqlalchemy-{run.versions['SQLAlchemy']}.json"
    path.write_text(json.dumps(asdict(run)))


def read_runs(folder: Path) -> list[Run]:
    """Return the runs of a folder, the newest SQLAlchemy first."""
    runs = [_run(path) for path in folder.glob("*.json")]
    return sorted(runs, key=lambda run: version_key(run.versions["SQLAlchemy"]), reverse=True)


def version_key(text: str) -> list[int]:
    """Return what a version is sorted by."""
    return [int(part) if part.isdigit() else 0 for part in text.split(".")]


def _run(path: Path) -> Run:
    told = json.loads(path.read_text())
    table = told["declared"]
    rows = tuple(Row(row["title"], tuple(row["cells"])) for row in table["rows"])
    declared = Declared(tuple(table["columns"]), rows, tuple(table["wanted"]))
    return Run(declared, tuple(told["passed"]), told["versions"])
