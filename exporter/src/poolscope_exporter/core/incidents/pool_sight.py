"""Add up what is known of one service's pool at one instant, over all its processes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.fleet.process_names import ProcessNames
from poolscope_exporter.core.fleet.waiter_groups import WaiterGroup
from poolscope_exporter.core.incidents.incident import (
    QUIET,
    CallerGroup,
    HolderGroup,
    KeepingGroup,
    Moment,
    Peaks,
    TimelinePoint,
    shortened,
    shortened_line,
)
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.holders.keeping_lines import find_keeping_lines
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict

MAX_GROUPS: Final = 10
"""The most groups of holders, of waiting callers and of keeping lines in one moment."""

MAX_REASONS: Final = 10
MAX_PIDS: Final = 5

UNREMARKABLE: Final = frozenset({Verdict.WORKING, Verdict.UNCONFIRMED, Verdict.UNKNOWN})
_ORDER: Final = list(Diagnosis)

_Place = tuple[Verdict, str | None, str | None]

Severity = tuple[int, int, int, int]
"""Waiting callers, callers that failed, checkouts with a problem, connections in use."""


@dataclass(frozen=True, slots=True)
class PoolSight:
    """One pool of a service at one instant: its processes, and their held checkouts."""

    states: tuple[PoolAssessment, ...]
    judgements: tuple[Judgement, ...]

    @property
    def used(self) -> int | None:
        """Return its connections in use; None if no process reports them."""
        return _sum(state.numbers.used for state in self.states)

    @property
    def limit(self) -> int | None:
        """Return the connections that it may open; None if a process has no known limit."""
        limits = [state.numbers.max for state in self.states]
        return None if None in limits else _sum(limits)

    @property
    def waiting(self) -> int | None:
        """Return its waiting callers; None if no process counts them."""
        return _sum(state.numbers.pending for state in self.states)

    @property
    def diagnosis(self) -> PoolDiagnosis:
        """Return the diagnosis of the process with most waiting callers, among those in trouble."""
        troubled = [each for each in self.states if each.diagnosis.diagnosis not in QUIET]
        return max(troubled or self.states, key=_urgency).diagnosis

    @property
    def caller_weight(self) -> int:
        """Return the callers that a second of this counts for: one, if nobody waits."""
        return max(1, self.waiting or 0)

    @property
    def peaks(self) -> Peaks:
        """Return its numbers as the largest so far."""
        return Peaks(
            waiting=self.waiting or 0,
            timeouts=round(sum(each.numbers.growth.timeouts or 0.0 for each in self.states)),
            failures=round(sum(each.numbers.growth.failures for each in self.states)),
            leaked=sum(_verdict(each) is Verdict.LEAKED for each in self.judgements),
            used=self.used or 0,
            processes=len(self.states),
        )

    @property
    def severity(self) -> Severity:
        """Return how bad this instant is, for a comparison."""
        peaks = self.peaks
        troubled = sum(_verdict(each) not in UNREMARKABLE for each in self.judgements)
        return peaks.waiting, peaks.timeouts + peaks.failures, troubled, peaks.used

    def point(self, at_s: float) -> TimelinePoint:
        """Return it as a point of a timeline."""
        return TimelinePoint(at_s, self.diagnosis.diagnosis, self.used, self.limit, self.waiting)

    def moment(self, at_s: float, names: ProcessNames) -> Moment:
        """Return it with its holders and waiting callers, in bounded groups."""
        found = self.diagnosis
        holders = _holders(self.judgements, names)
        lines = find_keeping_lines(self.judgements).by_verdict
        waiters = sorted(self._waiters(), key=lambda each: (-each.count, -each.oldest_s))
        kept: dict[str, int] = {}
        for (_, line), count in lines.items():
            kept[shortened_line(str(line))] = kept.get(shortened_line(str(line)), 0) + count
        most = sorted(kept.items(), key=lambda item: (-item[1], item[0]))[:MAX_GROUPS]
        return Moment(
            at_s=at_s,
            diagnosis=found.diagnosis,
            reasons=tuple(map(shortened, found.reasons[:MAX_REASONS])),
            processes=len(self.states),
            used=self.used,
            limit=self.limit,
            waiting=self.waiting,
            holders=tuple(holders[:MAX_GROUPS]),
            more_holders=sum(each.count for each in holders[MAX_GROUPS:]),
            keeping_lines=tuple(KeepingGroup(line, count) for line, count in most),
            waiters=tuple(waiters[:MAX_GROUPS]),
            more_waiters=sum(each.count for each in waiters[MAX_GROUPS:]),
        )

    def _waiters(self) -> list[CallerGroup]:
        groups = [
            group
            for state in self.states
            if state.numbers.waiters
            for group in state.numbers.waiters.groups
        ]
        together: dict[tuple[object, ...], list[WaiterGroup]] = {}
        for group in groups:
            key = (group.phase, group.route, group.code_file, group.code_line)
            together.setdefault(key, []).append(group)
        return [
            CallerGroup(
                same[0].phase,
                _cut(same[0].route),
                _line(same[0].code_file, same[0].code_line),
                sum(each.count for each in same),
                max(each.age_s for each in same),
            )
            for same in together.values()
        ]


def _holders(judgements: Sequence[Judgement], names: ProcessNames) -> list[HolderGroup]:
    """Return the groups of holders: those with a problem first, then the largest."""
    together: dict[_Place, list[Judgement]] = {}
    for each in judgements:
        checkout = each.checkout
        place = _line(checkout.code_file, checkout.code_line)
        together.setdefault((_verdict(each), checkout.route, place), []).append(each)
    groups = [_group(place, same, names) for place, same in together.items()]
    return sorted(
        groups, key=lambda each: (each.verdict in UNREMARKABLE, -each.count, -each.oldest_s)
    )


def _group(place: _Place, same: Sequence[Judgement], names: ProcessNames) -> HolderGroup:
    verdict, route, taken_at = place
    oldest = max(same, key=lambda each: each.age_s)
    checkout = oldest.checkout
    pids = [each.checkout.backend_pid for each in same if each.checkout.backend_pid is not None]
    return HolderGroup(
        verdict=verdict,
        route=_cut(route),
        taken_at=taken_at,
        kept_by=None if checkout.now is None else shortened_line(str(checkout.now.line)),
        count=len(same),
        oldest_s=oldest.age_s,
        process=shortened(names.get(checkout.pool.instance, checkout.pool.instance.id)),
        backend_pids=tuple(pids[:MAX_PIDS]),
    )


def _verdict(judgement: Judgement) -> Verdict:
    """Return the verdict, or the probable one while it is unconfirmed."""
    return judgement.probable or judgement.verdict


def _urgency(state: PoolAssessment) -> tuple[int, int]:
    return state.numbers.pending or 0, -_ORDER.index(state.diagnosis.diagnosis)


def _line(code_file: str | None, code_line: int | None) -> str | None:
    return None if code_file is None else shortened_line(f"{code_file}:{code_line}")


def _cut(text: str | None) -> str | None:
    return None if text is None else shortened(text)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [each for each in numbers if each is not None]
    return sum(known) if known else None
