"""One look at the exporter's state, as the live pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.core.fleet.occupancy_history import ProfileRow
from poolscope_exporter.core.fleet.pool_totals import NO_TOTALS, PoolTotals
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.incidents.incident import Incident
from poolscope_exporter.core.judging.overview.last_words import NO_SILENCE, Silence
from poolscope_exporter.core.judging.overview.service_pools import PoolName
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role


@dataclass(frozen=True, slots=True)
class Look:
    """A situation with its time in ISO 8601, the samples of the last minutes, and the silence."""

    situation: Situation
    taken_at: str
    strips: Mapping[PoolName, bytes] = field(default_factory=dict)
    silence: Silence = NO_SILENCE
    role: Role = Role.STANDALONE
    trace_url: str | None = None


@dataclass(frozen=True, slots=True)
class PoolDetails:
    """The data that only the page of one pool shows.

    It has the histograms and leaks in `totals`, the profile, the incidents, the newest first, and
    the sums of each release.
    """

    totals: PoolTotals = NO_TOTALS
    profile: tuple[ProfileRow, ...] = ()
    incidents: tuple[Incident, ...] = ()
    releases: tuple[ReleaseNumbers, ...] = ()
