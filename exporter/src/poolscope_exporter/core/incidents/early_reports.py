"""Hold the reports of first time-outs that arrive before the incidents of their pools."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool
from poolscope_exporter.core.incidents.incident import CALM_S, Incident, ReportedTimeout

MAX_EARLY: Final = 50
"""The most held reports; above it, the sender with the most of them loses its oldest one."""


@dataclass(frozen=True, slots=True)
class _EarlyReport:
    report: ReportedTimeout
    owner: str


class EarlyReports:
    """The first report of each pool without an open incident; times are seconds since the epoch.

    A report is held for the calm time: an incident that begins later is about other trouble.
    """

    def __init__(self) -> None:
        self._held: dict[ServicePool, _EarlyReport] = {}

    def hold_report(
        self, pool: ServicePool, report: ReportedTimeout, owner: str, wall_s: float
    ) -> None:
        """Hold a report, unless it is too old, or the pool has one already."""
        self._drop_where(lambda each: wall_s - each.report.at_s >= CALM_S)
        if wall_s - report.at_s >= CALM_S or pool in self._held:
            return
        self._held[pool] = _EarlyReport(report, owner)
        if len(self._held) > MAX_EARLY:
            counts = Counter(each.owner for each in self._held.values())
            of_largest = [each for each in self._held.values() if each.owner == _largest(counts)]
            oldest = min(of_largest, key=lambda each: each.report.at_s)
            self._drop_where(lambda each: each is oldest)

    def take_early(self, pool: ServicePool) -> ReportedTimeout | None:
        """Return the held report of a pool, and hold it no longer."""
        held = self._held.pop(pool, None)
        return held.report if held else None

    def _drop_where(self, is_dropped: Callable[[_EarlyReport], bool]) -> None:
        self._held = {pool: each for pool, each in self._held.items() if not is_dropped(each)}


def belongs_to(incident: Incident, report: ReportedTimeout) -> bool:
    """Return whether a report is about this trouble: not from before the calm before it."""
    return report.at_s > incident.began_at_s - CALM_S


def _largest(counts: Counter[str]) -> str:
    return max(counts, key=lambda owner: counts[owner])
