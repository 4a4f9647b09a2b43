"""Collect what people are shown: by the pages, by the API and by the events."""

from collections.abc import Callable, Sequence

from poolscope_exporter import clock
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.occupancy_history import ProfileRow
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import one_pool_of
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.judging.overview.last_words import LastWords
from poolscope_exporter.core.judging.overview.pool_history import PoolHistory
from poolscope_exporter.core.judging.overview.service_pools import (
    PoolName,
    group_by_service,
    name_of_service_pool,
    pool_name_of,
)
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role, may_name_pool, shown_only
from poolscope_exporter.core.model.servers import ConfiguredServer
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.incidents.incident_rows import ShownIncidents
from poolscope_exporter.web.profile.profile_rows import DEFAULT_WINDOW_S

EVENTS_SHARE = 0.05
"""The largest share of the event loop's time for events: a large fleet is judged less often."""
LATE = 2.0
"""After so many intervals of the events of a large fleet, the pages judge by themselves."""


class Display:
    """The data that people may see, and the history of the pages.

    `judge` returns the current situation. `is_saving` returns whether the incidents survive a
    restart.
    """

    def __init__(
        self,
        judge: Callable[[], Situation],
        fleet: Fleet,
        servers: Sequence[ConfiguredServer],
        incidents: IncidentLog,
        is_saving: Callable[[], bool],
        *,
        role: Role,
        trace_url: str | None,
    ) -> None:
        self._judge = judge
        self._fleet = fleet
        self._servers = servers
        self._incidents = incidents
        self._is_saving = is_saving
        self._role = role
        self._trace_url = trace_url
        self._history = PoolHistory()
        self._last_words = LastWords()
        self._last_shown: tuple[Situation, str] | None = None
        self._reuse_s = 0.0

    def shown(self) -> Situation:
        """Return the current situation, with only the parts that may be shown to people."""
        return shown_only(self._judge(), self._servers)

    def record_shown(self) -> Situation:
        """Return the current situation as shown, and add it to the history of the pages."""
        began_s = clock.monotonic()
        situation = self.shown()
        self._last_shown = situation, clock.timestamp()
        self._reuse_s = LATE * (clock.monotonic() - began_s) / EVENTS_SHARE
        states = group_by_service(situation.pools, situation.judgements)
        self._history.record_states(states, situation.taken_at_s)
        self._last_words.record_processes(situation)
        return situation

    def take_look(self) -> Look:
        """Return what the pages show; if judging takes long, the last situation of the events.

        So open pages cost a large fleet no further judging, and a small fleet is shown as of now.
        """
        known = self._last_shown
        if known is None or clock.monotonic() - known[0].taken_at_s > self._reuse_s:
            self.record_shown()
            known = self._last_shown
        assert known is not None
        situation, taken_at = known
        return Look(
            situation,
            taken_at,
            strips=self._history.strips(situation.taken_at_s),
            silence=self._last_words.silence(),
            role=self._role,
            trace_url=self._trace_url,
        )

    def shown_incidents(self) -> ShownIncidents:
        """Return the incidents; those of an earlier run only if they may be shown now too."""
        incidents = tuple(
            each
            for each in self._incidents.newest_first()
            if may_name_pool(one_pool_of(each.pool), self._servers)
        )
        return ShownIncidents(incidents, self._incidents.left_out, is_saved=self._is_saving())

    def pool_details(self, name: PoolName) -> PoolDetails:
        """Return the histograms, leaks, profile, incidents and releases of one pool."""
        fleet, now_s = self._fleet, clock.monotonic()
        rows = fleet.occupancy.rows_since(now_s - DEFAULT_WINDOW_S)
        found = (r for r in rows if (r.pool.namespace, r.pool.service, r.pool.pool) == name)
        totals = fleet.totals_of(lambda pool: pool_name_of(pool) == name, now_s)
        incidents = self.shown_incidents().incidents
        releases = fleet.releases_of(lambda pool: name_of_service_pool(pool) == name, now_s)
        return PoolDetails(
            totals,
            profile=tuple(found),
            incidents=tuple(each for each in incidents if name_of_service_pool(each.pool) == name),
            releases=tuple(releases),
        )

    def profile(self, window_s: float) -> list[ProfileRow]:
        """Return what the connections of all services were out for in the last seconds."""
        since_s = clock.monotonic() - window_s
        return list(self._fleet.occupancy.rows_since(since_s))

    def compare_releases(self) -> list[ReleaseNumbers]:
        """Return the sums of each version of all services."""
        return self._fleet.releases(clock.monotonic())
