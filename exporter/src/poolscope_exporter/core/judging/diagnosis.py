"""Diagnose a pool from its numbers and the verdicts on its checkouts: the first match wins."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope.catalogue import Evidence
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import NoLink, Unlinked

QUEUED_S: Final = 1.0
"""A client that queues this long for a server connection finds the pooler full, not busy."""


class Diagnosis(StrEnum):
    """What is the matter with a pool."""

    UNKNOWN = "unknown"
    LOOP_BLOCKED = "loop_blocked"
    SERVER_FULL = "server_full"
    LEAKING = "leaking"
    BLOCKED = "blocked"
    SLOW_QUERIES = "slow_queries"
    HELD_IDLE = "held_idle"
    UNDERSIZED = "undersized"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class PoolDiagnosis:
    """A diagnosis and why: plain sentences with the numbers, the most telling first."""

    diagnosis: Diagnosis
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """What a pool's connections lead to: a server, or the bouncer that is named.

    `is_paused`: the bouncer hands out no server connection, because somebody told it to.
    """

    bouncer: str | None = None
    is_paused: bool = False

    @property
    def full(self) -> str:
        """Return the sentence for no headroom."""
        if self.bouncer is None:
            return "the server admits no further session"
        return f"PgBouncer {self.bouncer} admits no further client"


@dataclass(frozen=True, slots=True)
class _Case:
    """All that a diagnosis is made from, with the verdicts counted."""

    numbers: PoolNumbers
    verdicts: Counter[Verdict]
    leaks: Counter[Evidence | None]
    unknown_reasons: Counter[str]
    headroom: int | None
    queued: int
    longest_queued_s: float
    leaks_without_server: int
    destination: Destination

    @property
    def is_full(self) -> bool:
        used, limit = self.numbers.used, self.numbers.max
        return used is not None and limit is not None and used >= limit > 0

    @property
    def is_under_pressure(self) -> bool:
        return bool(self.numbers.pending) or self.is_full

    @property
    def out(self) -> int:
        """How many connections are checked out, as far as anybody says."""
        return max(self.numbers.used or 0, self.verdicts.total())

    @property
    def troubled(self) -> int:
        return sum(self.of(*verdicts) for verdicts in _TROUBLES.values())

    @property
    def unclear(self) -> int:
        return self.of(*_UNCLEAR)

    def of(self, *verdicts: Verdict) -> int:
        return sum(self.verdicts[verdict] for verdict in verdicts)


_TROUBLES: dict[Diagnosis, dict[Verdict, str]] = {
    Diagnosis.BLOCKED: {Verdict.BLOCKED: "waiting for a lock"},
    Diagnosis.SLOW_QUERIES: {Verdict.SLOW_QUERY: "running a slow query"},
    Diagnosis.HELD_IDLE: {
        Verdict.IDLE_IN_TRANSACTION: "holding a transaction open without using it",
        Verdict.HELD_IDLE: "held without being used",
        Verdict.STALLED: "waiting for the application to go on",
    },
}
_UNCLEAR = {
    Verdict.UNKNOWN: "held by checkouts whose server session is unknown",
    Verdict.UNCONFIRMED: "held by checkouts whose server session is not confirmed yet",
    Verdict.LOST: "held by checkouts whose server session is gone",
}
_ENDED = {
    Evidence.REQUEST_FINISHED: "whose request has finished",
    Evidence.TASK_FINISHED: "whose task has finished",
    Evidence.THREAD_FINISHED: "whose thread has finished",
    Evidence.GARBAGE_COLLECTED: "garbage-collected without being returned",
}


def diagnose(
    numbers: PoolNumbers,
    judgements: Sequence[Judgement],
    headroom: int | None,
    destination: Destination = Destination(),
) -> PoolDiagnosis:
    """Diagnose one pool; `judgements` are its own, `headroom` is None where it is not known."""
    queued = [lasted_s for each in judgements if (lasted_s := _queued_s(each)) >= QUEUED_S]
    case = _Case(
        numbers=numbers,
        verdicts=Counter(j.verdict for j in judgements),
        leaks=Counter(j.evidence for j in judgements if j.verdict is Verdict.LEAKED),
        unknown_reasons=Counter(j.reason or "" for j in judgements if j.verdict is Verdict.UNKNOWN),
        headroom=headroom,
        queued=len(queued),
        longest_queued_s=max(queued, default=0.0),
        leaks_without_server=sum(map(_is_leak_in_pooler, judgements)),
        destination=destination,
    )
    for rule in _RULES:
        found = rule(case)
        if found:
            return found
    return _calm(case)


def _queued_s(judgement: Judgement) -> float:
    link = judgement.link
    if not isinstance(link, NoLink) or judgement.reason != Unlinked.WAITING_IN_POOLER:
        return 0.0
    return link.lasted_s or 0.0


def _is_leak_in_pooler(judgement: Judgement) -> bool:
    is_idle = judgement.reason == Unlinked.IDLE_IN_POOLER
    return is_idle and judgement.verdict is Verdict.LEAKED


def _no_data(case: _Case) -> PoolDiagnosis | None:
    told = (case.numbers.used, case.numbers.pending)
    if case.verdicts or any(number is not None for number in told):
        return None
    return PoolDiagnosis(Diagnosis.UNKNOWN, ("the application sent no numbers of this pool",))


def _loop_blocked(case: _Case) -> PoolDiagnosis | None:
    grown = case.numbers.growth.blocking_checkouts
    if not grown or not case.is_under_pressure:
        return None
    reason = f"{grown:.0f} checkouts blocked a running event loop just now"
    return PoolDiagnosis(Diagnosis.LOOP_BLOCKED, (reason, *_pressure(case)))


def _server_full(case: _Case) -> PoolDiagnosis | None:
    reasons = []
    if case.headroom is not None and case.headroom <= 0:
        reasons.append(case.destination.full)
    if refused := case.numbers.growth.too_many_connections:
        reasons.append(f"the server refused {refused:.0f} connections just now: too many")
    return PoolDiagnosis(Diagnosis.SERVER_FULL, (*reasons, *_pressure(case))) if reasons else None


def _leaking(case: _Case) -> PoolDiagnosis | None:
    if not case.leaks:
        return None
    reasons = [
        _share(case, count, f"held by checkouts {_ended(evidence)}")
        for evidence, count in case.leaks.most_common()
    ]
    if case.leaks_without_server:
        reasons.append(f"{case.leaks_without_server} of them without a server connection")
    return PoolDiagnosis(Diagnosis.LEAKING, (*reasons, *_pressure(case)))


def _troubled(case: _Case) -> PoolDiagnosis | None:
    """Name the commonest trouble of a pool under pressure, if it concerns half of what is out.

    What is out and not listed was taken a moment ago: it works.
    """
    counts = {diagnosis: case.of(*verdicts) for diagnosis, verdicts in _TROUBLES.items()}
    if not case.is_under_pressure or not case.troubled or 2 * case.troubled < case.out:
        return None
    worst = max(counts, key=lambda diagnosis: counts[diagnosis])
    return PoolDiagnosis(worst, (*_troubles(case), *_pressure(case)))


def _queued(case: _Case) -> PoolDiagnosis | None:
    """Say that the server side is full where callers queue for it in the pooler.

    A larger pool would only lengthen that queue. Leaks and troubles of the pool's own come first:
    they may be what holds the server connections.
    """
    if not case.queued:
        return None
    says = "waiting in the pooler's queue for a server connection"
    longest = f"the longest of them for {case.longest_queued_s:.1f} s"
    why = [f"PgBouncer {case.destination.bouncer} is paused: RESUME lets it go on"]
    reasons = (
        _share(case, case.queued, says),
        longest,
        *(why if case.destination.is_paused else ()),
        *_pressure(case),
        *_troubles(case),
    )
    return PoolDiagnosis(Diagnosis.SERVER_FULL, reasons)


def _unclear(case: _Case) -> PoolDiagnosis | None:
    """Say "unknown" rather than "too small" where those that surely work are not the most."""
    if not case.is_under_pressure or not case.unclear:
        return None
    if 2 * (case.troubled + case.unclear) < case.out:
        return None
    reasons = [_share(case, case.of(v), says) for v, says in _UNCLEAR.items() if case.of(v)]
    why = [f"reason: {reason}" for reason in case.unknown_reasons if reason]
    return PoolDiagnosis(Diagnosis.UNKNOWN, (*reasons, *why, *_pressure(case)))


def _undersized(case: _Case) -> PoolDiagnosis | None:
    if not case.is_under_pressure:
        return None
    return PoolDiagnosis(Diagnosis.UNDERSIZED, (*_pressure(case), *_troubles(case)))


_RULES: tuple[Callable[[_Case], PoolDiagnosis | None], ...] = (
    _no_data,
    _loop_blocked,
    _server_full,
    _leaking,
    _troubled,
    _queued,
    _unclear,
    _undersized,
)


def _calm(case: _Case) -> PoolDiagnosis:
    used, limit = case.numbers.used, case.numbers.max
    if used is None and case.numbers.pending is None:
        return PoolDiagnosis(Diagnosis.UNKNOWN, ("the application sent no numbers of this pool",))
    if used is None:
        return PoolDiagnosis(Diagnosis.HEALTHY, ("nobody waits for a connection",))
    of_limit = "" if limit is None else f" of {limit}"
    in_use = f"{used}{of_limit} connections are in use"
    waiting = ", nobody waits" if case.numbers.pending is not None else ""
    return PoolDiagnosis(Diagnosis.HEALTHY, (in_use + waiting,))


def _pressure(case: _Case) -> list[str]:
    numbers = case.numbers
    reasons = []
    if case.is_full:
        reasons.append(f"all {numbers.max} connections are in use")
    if numbers.pending:
        verb = "caller waits" if numbers.pending == 1 else "callers wait"
        reasons.append(f"{numbers.pending} {verb} for a connection")
    return reasons


def _troubles(case: _Case) -> list[str]:
    texts = {verdict: says for table in _TROUBLES.values() for verdict, says in table.items()}
    found = [verdict for verdict, _ in case.verdicts.most_common() if verdict in texts]
    return [_share(case, case.of(verdict), texts[verdict]) for verdict in found]


def _share(case: _Case, count: int, says: str) -> str:
    of_all = f"{count} of {case.numbers.max or case.out} connections"
    return f"{of_all} are {says}" if count != 1 else f"{of_all} is {_singular(says)}"


def _singular(says: str) -> str:
    return says.replace("by checkouts", "by a checkout")


def _ended(evidence: Evidence | None) -> str:
    return _ENDED[evidence] if evidence else "that leaked"
