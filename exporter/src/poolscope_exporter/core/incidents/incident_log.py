"""Follow the incidents of all pools: begin, update and end them, and keep the newest."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from poolscope_exporter.core.incidents.early_reports import EarlyReports, belongs_to
from poolscope_exporter.core.incidents.incident import (
    CALM_S,
    QUIET,
    CauseChange,
    Incident,
    IncidentEnd,
    Peaks,
    ReportedTimeout,
    incident_id,
    shortened,
)
from poolscope_exporter.core.incidents.new_evidence import NewEvidence
from poolscope_exporter.core.incidents.pool_sight import UNREMARKABLE, PoolSight, Severity
from poolscope_exporter.core.incidents.room import MAX_INCIDENTS, replaced_by
from poolscope_exporter.core.incidents.timeline import with_change, with_point
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement
from poolscope_exporter.core.model.checkouts import Pool

RESUMES_S: Final = 600.0
"""After a longer time without the exporter, new evidence is a new incident."""

GAP_S: Final = 60.0
"""After a longer time between two looks, the exporter was suspended: that time is not calm."""

SAVE_EVERY_S: Final = 15.0
"""The time after which an open incident is saved again if only its timeline has changed."""

LONGEST_LOOK_S: Final = 5.0
"""One look counts for the time since the one before, but at most for this time."""

_NOTHING: Final[Severity] = (-1, 0, 0, 0)


@dataclass(slots=True)
class _Open:
    """An open incident; the times are monotonic, and those of `incident` are wall time.

    The calm begins at `calm_since_s`: the last evidence, or later by the time without any look.
    """

    incident: Incident
    calm_since_s: float
    looked_s: float
    saved_s: float
    severity: Severity = _NOTHING


@dataclass(frozen=True, slots=True)
class _PoolLook:
    """One look at all pools with a problem or an open incident."""

    situation: Situation
    sights: Mapping[ServicePool, PoolSight]
    evidence_s: Mapping[ServicePool, float]
    epoch_s: float

    def wall(self, monotonic_s: float) -> float:
        """Return a time in seconds since the epoch; the monotonic clock decides how long ago."""
        return self.epoch_s + monotonic_s


@dataclass(frozen=True, slots=True)
class IncidentChanges:
    """All incidents to keep, and the ids of the changed ones."""

    kept: tuple[Incident, ...]
    changed: frozenset[str]


class IncidentLog:
    """The newest incidents; the parts of a situation that may not be shown are none.

    Not thread-safe; the incidents themselves never change, so that other threads may read them.
    """

    def __init__(self, most: int = MAX_INCIDENTS) -> None:
        self.left_out = 0
        self._most = most
        self._ended: dict[str, Incident] = {}
        self._open: dict[ServicePool, _Open] = {}
        self._evidence = NewEvidence()
        self._early_reports = EarlyReports()
        self._changed: set[str] = set()
        self._has_dropped = False
        self._looked_s: float | None = None
        self._ended_before: list[Incident] = []

    def newest_first(self) -> tuple[Incident, ...]:
        """Return all incidents, the newest first."""
        return tuple(sorted(self._all(), key=lambda each: (-each.began_at_s, each.id)))

    def resume_incidents(self, stored: Iterable[Incident], now_s: float, wall_s: float) -> None:
        """Take up the incidents of an earlier run; an open one goes on if it was not long ago."""
        room = max(0, self._most - len(self.newest_first()))
        strangers = [each for each in stored if not self._is_known(each.id)]
        for each in sorted(strangers, key=lambda one: -one.began_at_s)[:room]:
            away_s = max(0.0, wall_s - _last_seen_s(each))
            if each.ended:
                self._ended[each.id] = each
            elif away_s > RESUMES_S or each.pool in self._open:
                ended = self._keep_ended(replace(each, ended=IncidentEnd.UNOBSERVED))
                self._ended_before.append(ended)
            else:
                resumed = replace(each, unobserved_s=each.unobserved_s + away_s)
                resumed = self._with_early(resumed)
                severity = _severity_of(each)
                self._open[each.pool] = _Open(resumed, now_s, now_s, now_s, severity)
                self._changed.add(each.id)

    def add_report(
        self, pool: ServicePool, report: ReportedTimeout, owner: str, wall_s: float
    ) -> None:
        """Add the report of a first time-out to the open incident of its pool.

        The first report stays. Without an open incident, the report is held for the next one.
        """
        current = self._open.get(pool)
        if current is None:
            self._early_reports.hold_report(pool, report, owner, wall_s)
        elif current.incident.timeout_report is None and belongs_to(current.incident, report):
            current.incident = replace(current.incident, timeout_report=report)
            self._changed.add(current.incident.id)

    def observe(self, situation: Situation, wall_s: float) -> list[Incident]:
        """Update the incidents by one look at everything; return the ended ones."""
        self._skip_gap(situation.taken_at_s)
        look = self._look(situation, wall_s)
        for pool, evidence_s in look.evidence_s.items():
            self._record_evidence(pool, evidence_s, look)
        ended, self._ended_before = self._ended_before, []
        for pool, current in list(self._open.items()):
            sight = look.sights.get(pool)
            if sight is not None:
                self._update(current, sight, look)
            if situation.taken_at_s - current.calm_since_s >= CALM_S:
                ended.append(self._end(pool, current.incident, sight))
        return ended

    def _skip_gap(self, now_s: float) -> None:
        """Leave out the time of a suspended exporter, in which no evidence could arrive."""
        gap_s = 0.0 if self._looked_s is None else now_s - self._looked_s
        self._looked_s = now_s
        if gap_s > GAP_S:
            for each in self._open.values():
                each.calm_since_s += gap_s
                unobserved_s = each.incident.unobserved_s + gap_s
                each.incident = replace(each.incident, unobserved_s=unobserved_s)

    def take_changes(self) -> IncidentChanges | None:
        """Return the incidents if any of them changed or was dropped since the last call."""
        if not self._changed and not self._has_dropped:
            return None
        changes = IncidentChanges(tuple(self._all()), frozenset(self._changed))
        self._changed, self._has_dropped = set(), False
        return changes

    def _all(self) -> Iterator[Incident]:
        yield from self._ended.values()
        for each in self._open.values():
            yield each.incident

    def _look(self, situation: Situation, wall_s: float) -> _PoolLook:
        """Return the pools with a problem, and those with an open incident."""
        now_s = situation.taken_at_s
        of_service = {state.pool: service_pool_of(state.pool) for state in situation.pools}
        self._evidence.keep_present(of_service.keys())
        wanted = {
            of_service[state.pool]
            for state in situation.pools
            if state.diagnosis.diagnosis not in QUIET
        }
        wanted |= self._open.keys()
        states: dict[ServicePool, list[PoolAssessment]] = defaultdict(list)
        for state in situation.pools:
            if of_service[state.pool] in wanted:
                states[of_service[state.pool]].append(state)
        held: dict[Pool, list[Judgement]] = {s.pool: [] for same in states.values() for s in same}
        for judgement in situation.judgements if held else ():
            if judgement.checkout.pool in held:
                held[judgement.checkout.pool].append(judgement)
        evidence_s: dict[ServicePool, float] = {}
        for pool, same in states.items():
            newest = [self._evidence.newest_at(each, held[each.pool], now_s) for each in same]
            known = [each for each in newest if each is not None]
            if known:
                evidence_s[pool] = min(max(known), now_s)
        sights = {
            pool: PoolSight(tuple(same), tuple(j for each in same for j in held[each.pool]))
            for pool, same in states.items()
        }
        return _PoolLook(situation, sights, evidence_s, wall_s - now_s)

    def _record_evidence(self, pool: ServicePool, evidence_s: float, look: _PoolLook) -> None:
        """Keep the incident of a pool open by its newest evidence, or begin one."""
        current = self._open.get(pool)
        if current is None:
            if look.situation.taken_at_s - evidence_s < CALM_S:
                self._begin(pool, evidence_s, look)
        elif evidence_s > current.calm_since_s:
            current.calm_since_s = evidence_s
            evidence_at_s = max(current.incident.evidence_at_s, look.wall(evidence_s))
            current.incident = replace(current.incident, evidence_at_s=evidence_at_s)

    def _begin(self, pool: ServicePool, evidence_s: float, look: _PoolLook) -> None:
        sight, now_s = look.sights[pool], look.situation.taken_at_s
        owners = {state.instance: state.owner for state in look.situation.instances}
        owner = owners.get(sight.states[0].pool.instance) or f"{pool.namespace}/{pool.service}"
        began_at_s = look.wall(evidence_s)
        if self._is_known(incident_id(pool, began_at_s)) or not self._make_room(owner, began_at_s):
            self.left_out += 1
            return
        found = sight.diagnosis
        incident = Incident(
            id=incident_id(pool, began_at_s),
            pool=pool,
            owner=shortened(owner),
            began_at_s=began_at_s,
            evidence_at_s=began_at_s,
            peaks=Peaks(),
            worst=sight.moment(began_at_s, {}),
            changes=(CauseChange(began_at_s, found.diagnosis, _first_reason(sight)),),
        )
        self._open[pool] = _Open(self._with_early(incident), evidence_s, now_s, now_s)

    def _with_early(self, incident: Incident) -> Incident:
        """Return the incident with the report that came before it, if it has none yet."""
        early = self._early_reports.take_early(incident.pool)
        is_first = incident.timeout_report is None
        if early is None or not is_first or not belongs_to(incident, early):
            return incident
        return replace(incident, timeout_report=early)

    def _is_known(self, incident: str) -> bool:
        return any(each.id == incident for each in self._all())

    def _make_room(self, owner: str, now_s: float) -> bool:
        """Return whether there is room for one more; drop another incident for it if allowed."""
        kept = tuple(self._all())
        if len(kept) < self._most:
            return True
        replaced = replaced_by(shortened(owner), kept, now_s)
        if replaced is None:
            return False
        self._ended.pop(replaced, None)
        for pool in [pool for pool, each in self._open.items() if each.incident.id == replaced]:
            del self._open[pool]
        self._changed.discard(replaced)
        self._has_dropped = True
        return True

    def _update(self, current: _Open, sight: PoolSight, look: _PoolLook) -> None:
        """Add one look at the pool to its incident."""
        now_s = look.situation.taken_at_s
        at_s, before = look.wall(now_s), current.incident
        elapsed_s = min(now_s - current.looked_s, LONGEST_LOOK_S)
        incident = with_point(_with_cause(before, sight, at_s, elapsed_s), sight.point(at_s))
        incident = replace(incident, peaks=incident.peaks.at_least(sight.peaks))
        current.incident, current.looked_s = incident, now_s
        self._record_moments(current, sight, look)
        is_news = current.incident.worst is not before.worst or incident.changes != before.changes
        if is_news or now_s - current.saved_s >= SAVE_EVERY_S:
            current.saved_s = now_s
            self._changed.add(incident.id)

    def _record_moments(self, current: _Open, sight: PoolSight, look: _PoolLook) -> None:
        """Store the whole pool, if this is its worst moment or the first with a time-out."""
        incident, severity = current.incident, sight.severity
        is_worse = severity > current.severity and sight.diagnosis.diagnosis not in QUIET
        is_first_timeout = incident.first_timeout is None and sight.peaks.timeouts > 0
        if not is_worse and not is_first_timeout:
            return
        names = process_names(look.situation.instances)
        moment = sight.moment(look.wall(look.situation.taken_at_s), names)
        if is_first_timeout:
            incident = replace(incident, first_timeout=moment)
        if is_worse:
            incident = replace(incident, worst=moment)
            current.severity = severity
        current.incident = incident

    def _end(self, pool: ServicePool, incident: Incident, sight: PoolSight | None) -> Incident:
        del self._open[pool]
        if sight is None:
            ended = IncidentEnd.SILENCE
        else:
            is_calm = sight.diagnosis.diagnosis in QUIET
            ended = IncidentEnd.CALM if is_calm else IncidentEnd.UNCHANGED
        return self._keep_ended(replace(incident, ended=ended))

    def _keep_ended(self, incident: Incident) -> Incident:
        self._ended[incident.id] = incident
        self._changed.add(incident.id)
        return incident


def _with_cause(incident: Incident, sight: PoolSight, at_s: float, elapsed_s: float) -> Incident:
    """Return the incident with the present diagnosis, and with the time that it cost callers."""
    cause = sight.diagnosis.diagnosis
    if cause in QUIET:
        return incident
    seconds = dict(incident.cause_seconds)
    seconds[cause] = seconds.get(cause, 0.0) + elapsed_s * sight.caller_weight
    change = CauseChange(at_s, cause, _first_reason(sight))
    return with_change(replace(incident, cause_seconds=seconds), change)


def _first_reason(sight: PoolSight) -> str:
    reasons = sight.diagnosis.reasons
    return shortened(reasons[0]) if reasons else ""


def _last_seen_s(incident: Incident) -> float:
    """Return the last time at which the exporter is known to have watched the incident."""
    points = (point.at_s for point in incident.timeline[-1:])
    return max((incident.evidence_at_s, *points))


def _severity_of(incident: Incident) -> Severity:
    """Return how bad the worst moment was, so that a lesser one does not replace it."""
    worst = incident.worst
    failed = incident.peaks.timeouts + incident.peaks.failures
    troubled = sum(each.count for each in worst.holders if each.verdict not in UNREMARKABLE)
    return worst.waiting or 0, failed, troubled, worst.used or 0
