"""Show the newest release of a pool beside the one before it, as texts for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.fleet.service_totals.release_comparison import (
    MIN_CALLERS,
    ReleaseComparison,
    has_enough,
)
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.web.console.page_parts import duration, time_text

UNKNOWN: Final = "unknown"
TOO_LITTLE: Final = "too little data"

_SMALL: Final = 0.01
"""Smaller shares have two significant digits, so that a rare failure is not 0.0 %."""


@dataclass(frozen=True, slots=True)
class ReleaseColumn:
    """One release: whether it is before or after, its version, and the text of each fact.

    If it had too few callers, `note` gives their number; else it is "".
    """

    side: str
    version: str
    cells: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """A comparison as columns, the release before first; each fact has its name in `FACTS`."""

    database: str
    server: str
    columns: tuple[ReleaseColumn, ...]
    others: int


FACTS: Final = (
    "first seen",
    "processes",
    "callers",
    "wait, 95th percentile",
    "time-outs",
    "failures",
    "leaks",
)


def comparison_table(found: ReleaseComparison) -> ComparisonTable:
    """Return the table of a comparison; with one release alone, it has one column."""
    pool = found.pool
    before = () if found.before is None else (_column("before", found.before),)
    return ComparisonTable(
        pool.db_namespace,
        f"{pool.server_address}:{pool.server_port}" if pool.server_port else pool.server_address,
        (*before, _column("after", found.after)),
        found.others,
    )


def _column(side: str, release: ReleaseNumbers) -> ReleaseColumn:
    live = f"{release.live} push now" if release.live else "none pushes now"
    cells = (
        f"{duration(release.first_seen_age_s)} ago",
        f"{release.processes}, {live}",
        UNKNOWN if release.callers is None else f"{release.callers:,}",
        _wait(release),
        *(_count(each, release) for each in (release.timeouts, release.failures, release.leaks)),
    )
    return ReleaseColumn(side, release.key.version, cells, _note(release))


def _note(release: ReleaseNumbers) -> str:
    if has_enough(release):
        return ""
    callers = "an unknown number of" if release.callers is None else str(release.callers)
    noun = "caller" if release.callers == 1 else "callers"
    return f"{release.key.version} has {TOO_LITTLE}: {callers} {noun}, at least {MIN_CALLERS}"


def _wait(release: ReleaseNumbers) -> str:
    if not has_enough(release):
        return TOO_LITTLE
    return UNKNOWN if release.wait_p95_s is None else time_text(release.wait_p95_s)


def _count(count: int | None, release: ReleaseNumbers) -> str:
    """Return a count with its share of the callers; no event of a few callers is no good sign."""
    if count is None:
        return UNKNOWN
    if not has_enough(release):
        return f"{count:,}" if count else TOO_LITTLE
    if not count or not release.callers:
        return f"{count:,}"
    return f"{count:,} ({_percent(count / release.callers)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= _SMALL else f"{100 * share:.2g} %"


def comparison_notes(tables: Sequence[ComparisonTable], unversioned: int) -> list[str]:
    """Return what the tables cannot show, in sentences."""
    notes = [f"{each.note} are needed." for table in tables for each in table.columns if each.note]
    if any(len(table.columns) == 1 for table in tables):
        notes.append("No other release was seen since the exporter started: nothing to compare.")
    if unversioned:
        notes.append(
            "1 process does not report service.version, and counts for no release."
            if unversioned == 1
            else f"{unversioned} processes do not report service.version, and count for no release."
        )
    return notes
