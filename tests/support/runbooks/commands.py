"""Read what a runbook tells its reader to run: queries, requests to the API and statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from poolscope_alerts.__main__ import FOLDER, alerts_by_name, load_sources
from poolscope_alerts.model import PLACEHOLDERS, Alert, certain_labels
from poolscope_alerts.promql import Labels
from support.documents.markdown import Block, blocks, commands

EXPORTER = "http://127.0.0.1:9736"
"""The address of an exporter in every document; a test replaces it by that of its own."""


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook: its blocks, and the labels that each alert of its name has."""

    path: Path
    blocks: tuple[Block, ...]
    about: Labels

    @property
    def name(self) -> str:
        return self.path.stem

    def section(self, heading: str) -> "Runbook":
        """Return one section of the mitigation alone; with no heading, what is before it."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        starts = [n for n, line in enumerate(lines, 1) if line.startswith(("## Miti", "### "))]
        first = lines.index(f"### {heading}") + 1 if heading else 1
        last = next((start for start in starts if start > first), len(lines) + 1)
        found = tuple(block for block in self.blocks if first <= block.line < last)
        return replace(self, blocks=found)

    @property
    def queries(self) -> list[str]:
        """Return the blocks of PromQL."""
        return self._of("promql")

    @property
    def statements(self) -> list[str]:
        """Return the blocks of SQL."""
        return self._of("sql")

    @property
    def requests(self) -> list[str]:
        """Return the commands of the shell."""
        consoles = [block for block in self.blocks if block.language == "console"]
        return [command.typed for block in consoles for command in commands(block)]

    def _of(self, language: str) -> list[str]:
        return [block.text.strip() for block in self.blocks if block.language == language]


def runbooks() -> list[Runbook]:
    """Return every runbook in the folder, by name."""
    alerts = alerts_by_name(load_sources())
    return [
        Runbook(path, tuple(blocks(path)), _shared_labels(alerts[path.stem]))
        for path in sorted((FOLDER / "runbooks").glob("*.md"))
    ]


def runbook(name: str) -> Runbook:
    """Return one runbook."""
    return next(each for each in runbooks() if each.name == name)


def fill(command: str, labels: Mapping[str, str]) -> str:
    """Return a command as its reader runs it: with the values of an alert's labels.

    An alert has no empty label, so what it does not have is left empty.
    """
    return Template(command).substitute(variables(labels))


def variables(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each placeholder."""
    return {short: labels.get(label, "") for label, short in PLACEHOLDERS.items()}


def _shared_labels(alerts: Sequence[Alert]) -> Labels:
    """Return the labels that all alerts of one name have for certain."""
    first, *others = map(certain_labels, alerts)
    return tuple(label for label in first if all(label in each for each in others))
