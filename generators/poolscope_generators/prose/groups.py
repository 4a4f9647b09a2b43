"""The texts of the project, in groups that are counted together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolscope_generators.prose.passages import (
    Passage,
    of_alerts,
    of_dashboard,
    of_docstrings,
    of_document,
    of_help,
)

ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Group:
    """Texts of one kind: the files that match one of the patterns, from the project's root."""

    name: str
    patterns: tuple[str, ...]

    def paths(self) -> list[Path]:
        """Return the files, by name."""
        return sorted({path for pattern in self.patterns for path in ROOT.glob(pattern)})


GROUPS: Final = (
    Group("README", ("README.md", "instrumentation/README.md", "exporter/README.md")),
    Group("docs", ("docs/*.md", "deploy/*/README.md")),
    Group("runbooks", ("alerts/runbooks/*.md",)),
    Group("contributor's documents", ("CONTRIBUTING.md", "SECURITY.md", ".github/*.md")),
    Group("changelog", ("CHANGELOG.md",)),
    Group("alerts", ("alerts/*.rules.yaml",)),
    Group("panels", ("dashboards/*.json",)),
    Group("docstrings and help, app", ("instrumentation/src/**/*.py",)),
    Group("docstrings and help, exporter", ("exporter/src/**/*.py",)),
)


def not_rewritten() -> frozenset[Path]:
    """Return the files that were written before these rules and are not rewritten yet."""
    names = Path(__file__).with_name("not_rewritten.txt").read_text().split()
    return frozenset(ROOT / name for name in names)


def rewritten() -> list[Path]:
    """Return every other file: it must be easy to read."""
    paths = {path for group in GROUPS for path in group.paths()}
    return sorted(paths - not_rewritten())


def passages_of(path: Path) -> Iterator[Passage]:
    """Yield what a person reads in a file."""
    match path.suffix:
        case ".py":
            yield from of_docstrings(path)
            yield from of_help(path)
        case ".yaml":
            yield from of_alerts(path)
        case ".json":
            yield from of_dashboard(path)
        case _:
            yield from of_document(path)
