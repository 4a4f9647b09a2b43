"""Reads `.lint`, the linter's file of exclusions: which finding is meant to be so, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.dashboard_linter.dashboard import Finding
from support.documents.yaml_files import read_yaml


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A finding that is meant to be so; what is None matches everything."""

    rule: str
    reason: str
    dashboard: str | None = None
    panel: str | None = None
    target: int | None = None

    def covers(self, finding: Finding) -> bool:
        """Tell whether this is the finding that is meant."""
        pairs = (
            (self.rule, finding.rule),
            (self.dashboard, finding.dashboard),
            (self.panel, finding.panel),
            (self.target, finding.target),
        )
        return all(wanted in {None, found} for wanted, found in pairs)


def read_exclusions(path: Path) -> list[Exclusion]:
    """Return the exclusions; ValueError where the file softens a rule to a warning."""
    content = read_yaml(path) or {}
    if set(content) - {"exclusions"}:
        raise ValueError(f"{path}: has more than exclusions: {', '.join(sorted(content))}")
    return [
        exclusion
        for rule, entries in content.get("exclusions", {}).items()
        for exclusion in _of_rule(rule, entries or {})
    ]


def _of_rule(rule: str, entries: Mapping[str, Any]) -> Iterator[Exclusion]:
    reason = str(entries.get("reason", ""))
    if not entries.get("entries"):
        yield Exclusion(rule, reason)
    for entry in entries.get("entries", ()):
        index = entry.get("targetIdx")
        yield Exclusion(
            rule,
            str(entry.get("reason", reason)),
            entry.get("dashboard"),
            entry.get("panel"),
            None if index is None else int(index),
        )


def not_excluded(findings: Sequence[Finding], exclusions: Sequence[Exclusion]) -> list[Finding]:
    """Return the findings that nothing excludes."""
    return [each for each in findings if not any(e.covers(each) for e in exclusions)]


def needless(findings: Sequence[Finding], exclusions: Sequence[Exclusion]) -> list[Exclusion]:
    """Return the exclusions of what is not found any more."""
    return [each for each in exclusions if not any(map(each.covers, findings))]
