"""Describe one statement of the pooling guides, and what poolscope does about it."""

from dataclasses import dataclass
from enum import StrEnum


class Coverage(StrEnum):
    """How much of a statement poolscope observes, checks or teaches."""

    COVERED = "covered"
    PARTLY = "partly"
    NOT = "not covered"


@dataclass(frozen=True, slots=True)
class GuideStatement:
    """One row of the table; `words` are those of the guides.

    `rows` are the ids of the documented thresholds that the statement belongs to. `alerts` are
    names of alerts, `panels` are "Dashboard: Title", `checks` are ids of configuration checks.
    `cure` is Markdown with links relative to docs/. `missing` is the reason, unless covered.
    """

    words: str
    coverage: Coverage
    cure: str
    rows: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class GuideSection:
    """Statements about one subject, under one heading."""

    title: str
    statements: tuple[GuideStatement, ...]
