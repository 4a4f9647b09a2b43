"""The sources of the data that the web listener serves."""

from collections.abc import Callable
from dataclasses import dataclass

from poolscope_exporter.core.fleet.occupancy_history import ProfileRow
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.judging.overview.service_pools import PoolName
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.settings.shown_settings import ShownSetting
from poolscope_exporter.web.console.live_views import Wait
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.console.page_handlers import DetailsOf
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents


def _no_profile(_: float) -> list[ProfileRow]:
    return []


def _no_details(_: PoolName) -> PoolDetails:
    return PoolDetails()


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the answers.

    `timestamp` returns the current time in ISO 8601, and `profile` the rows of the last seconds.
    The pages show `look`; only the page of one pool shows `details`. Between two updates of an open
    page, its stream calls `wait`.
    """

    situation: Callable[[], Situation]
    exposition: Exposition
    is_ready: Callable[[], bool]
    timestamp: Callable[[], str]
    role: Role = Role.STANDALONE
    profile: Callable[[float], list[ProfileRow]] = _no_profile
    trace_url: str | None = None
    incidents: Callable[[], ShownIncidents] = ShownIncidents
    releases: Callable[[], list[ReleaseNumbers]] = list
    settings: tuple[ShownSetting, ...] = ()
    look: Callable[[], Look] | None = None
    details: DetailsOf = _no_details
    wait: Wait | None = None

    def current_look(self) -> Look:
        """Return what the pages show; without a source of it, the present situation alone."""
        if self.look is not None:
            return self.look()
        return Look(self.situation(), self.timestamp(), role=self.role, trace_url=self.trace_url)
