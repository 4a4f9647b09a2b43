"""Diagnose a pool at one instant: causes in a fixed order, the first that holds wins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, Phase
from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging import sentences
from poolscope_exporter.core.judging.pool_evidence import (
    CONNECTING_S,
    DIRECT,
    SHORT_USE_S,
    Destination,
    PoolEvidence,
    gather,
)
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict


class Diagnosis(StrEnum):
    """What is the matter with a pool, the gravest cause first."""

    CONNECT_FAILING = "connect_failing"
    LOOP_BLOCKED = "loop_blocked"
    SERVER_FULL = "server_full"
    CONNECTING = "connecting"
    LEAKING = "leaking"
    BLOCKED = "blocked"
    SLOW_QUERIES = "slow_queries"
    HELD_IDLE = "held_idle"
    UNDERSIZED = "undersized"
    FULL = "full"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class PoolDiagnosis:
    """A diagnosis and why: plain sentences with the numbers, the most telling first.

    `is_probable`: it rests on samples that no later push has confirmed yet. `since_s` is the age of
    the diagnosis in seconds, None where it was made for one instant only.
    """

    diagnosis: Diagnosis
    reasons: tuple[str, ...]
    is_probable: bool = False
    since_s: float | None = None


_Rule = Callable[[PoolEvidence], PoolDiagnosis | None]

_TROUBLES: Final = {
    Diagnosis.BLOCKED: (Verdict.BLOCKED,),
    Diagnosis.SLOW_QUERIES: (Verdict.SLOW_QUERY,),
    Diagnosis.HELD_IDLE: (Verdict.IDLE_IN_TRANSACTION, Verdict.HELD_IDLE, Verdict.STALLED),
}
_ALL_TROUBLES: Final = tuple(verdict for each in _TROUBLES.values() for verdict in each)
_REFUSED_BY_SERVER: Final = ConnectErrorKind.TOO_MANY_CONNECTIONS


def diagnose(
    numbers: PoolNumbers,
    judgements: Sequence[Judgement],
    headroom: int | None,
    destination: Destination = DIRECT,
) -> PoolDiagnosis:
    """Diagnose one pool; `judgements` are its own, `headroom` is None where it is not known."""
    evidence = gather(numbers, judgements, headroom, destination)
    found = next((found for rule in _RULES if (found := rule(evidence))), None)
    return found or _healthy(evidence)


def _made(
    diagnosis: Diagnosis, evidence: PoolEvidence, *reasons: str, is_probable: bool = False
) -> PoolDiagnosis:
    """Return the diagnosis with its own reasons first, then the pressure and the misuse."""
    beside = (*sentences.pressure(evidence), *sentences.findings(evidence))
    return PoolDiagnosis(diagnosis, (*reasons, *beside), is_probable)


def _no_data(evidence: PoolEvidence) -> PoolDiagnosis | None:
    numbers = evidence.numbers
    if evidence.confirmed or any(each is not None for each in (numbers.used, numbers.pending)):
        return None
    if numbers.growth.hurting:
        return None
    return PoolDiagnosis(Diagnosis.UNKNOWN, (sentences.NO_NUMBERS,))


def _connect_failing(evidence: PoolEvidence) -> PoolDiagnosis | None:
    errors = dict(evidence.connect_errors)
    refused = errors.pop(_REFUSED_BY_SERVER, 0.0)
    if not errors or sum(errors.values()) < refused:
        return None
    return _made(Diagnosis.CONNECT_FAILING, evidence, *sentences.failed_attempts(evidence))


def _loop_blocked(evidence: PoolEvidence) -> PoolDiagnosis | None:
    grown = evidence.numbers.growth.blocking_checkouts
    if not grown or not evidence.is_under_pressure:
        return None
    reason = f"{grown:.0f} checkouts blocked a running event loop in the last {WINDOW_S:.0f} s"
    return _made(Diagnosis.LOOP_BLOCKED, evidence, reason)


def _server_full(evidence: PoolEvidence) -> PoolDiagnosis | None:
    reasons = []
    if evidence.headroom is not None and evidence.headroom <= 0:
        reasons.append(evidence.destination.full)
    if refused := evidence.numbers.growth.too_many_connections:
        reasons.append(
            f"the server refused {refused:.0f} connections in the last {WINDOW_S:.0f} s: too many"
        )
    return _made(Diagnosis.SERVER_FULL, evidence, *reasons) if reasons else None


def _connecting(evidence: PoolEvidence) -> PoolDiagnosis | None:
    reasons = [
        sentences.waiting_in(phase, *evidence.waiting_in(phase))
        for phase in (Phase.CONNECT, Phase.PING)
        if evidence.waiting_in(phase)[1] > CONNECTING_S
    ]
    mean_s = evidence.numbers.growth.mean_s(catalogue.CREATE_TIME)
    if mean_s is not None and mean_s > CONNECTING_S and (evidence.waits or evidence.gave_up):
        reasons.append(sentences.slow_to_open(mean_s))
    return _made(Diagnosis.CONNECTING, evidence, *reasons) if reasons else None


def _leaking(evidence: PoolEvidence) -> PoolDiagnosis | None:
    if not (evidence.leaks or evidence.numbers.lost_places or evidence.leaked_lately):
        return None
    reasons = [*sentences.leaks(evidence), *sentences.lost_places(evidence)]
    is_counted = evidence.numbers.lost_places or evidence.leaked_lately
    is_probable = not is_counted and evidence.is_only_probable(Verdict.LEAKED)
    troubles = sentences.troubles(evidence)
    return _made(Diagnosis.LEAKING, evidence, *reasons, *troubles, is_probable=is_probable)


def _troubled(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Name the commonest trouble of a pool under pressure, if it concerns half of what is out."""
    troubled = evidence.count_of(*_ALL_TROUBLES)
    if not evidence.is_under_pressure or not troubled or 2 * troubled < evidence.of_whom:
        return None
    worst = max(_TROUBLES, key=lambda diagnosis: evidence.count_of(*_TROUBLES[diagnosis]))
    is_probable = evidence.is_only_probable(*_TROUBLES[worst])
    return _made(worst, evidence, *sentences.troubles(evidence), is_probable=is_probable)


def _queued_in_pooler(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report that the server side is full where callers queue for it in the pooler.

    A larger pool would only lengthen that queue. Leaks and troubles of the pool come first: they
    may be what holds the server connections.
    """
    if not evidence.queued:
        return None
    reasons = (*sentences.queued_in_pooler(evidence), *sentences.troubles(evidence))
    return _made(Diagnosis.SERVER_FULL, evidence, *reasons)


def _undersized(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Call the pool too small where many short uses ended while callers waited or gave up."""
    if not (evidence.waits or evidence.gave_up) or not evidence.lists_holders:
        return None
    mean_s, ended = evidence.mean_use_s, evidence.numbers.growth.of(catalogue.CHECKINS) or 0.0
    if mean_s is None or mean_s >= SHORT_USE_S or ended < (evidence.numbers.max or 1):
        return None
    if not evidence.waited_mostly_in_queue:
        return None
    if 2 * evidence.unclear >= max(1, evidence.out):
        return None
    reason = (
        f"{ended:.0f} uses of {mean_s:.2g} s on average ended in the last {WINDOW_S:.0f} s"
        " while callers waited"
    )
    return _made(Diagnosis.UNDERSIZED, evidence, reason, *sentences.troubles(evidence))


def _full(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report pressure without an established cause, with all that is known of it.

    A pool that is full while nobody waits is busy, where the sender counts the waiters and lists
    the holders: one worker with one connection is always full. Where too little is known of what
    most holders do, it is not called healthy either.
    """
    is_only_busy = evidence.numbers.pending == 0 and evidence.lists_holders
    if evidence.waits or evidence.gave_up or (evidence.is_full and not is_only_busy):
        reasons = (*sentences.unclear(evidence), *sentences.nothing_returned(evidence))
        return _made(Diagnosis.FULL, evidence, *reasons, *sentences.troubles(evidence))
    if evidence.is_full and 2 * evidence.unclear >= evidence.out:
        return _made(Diagnosis.UNKNOWN, evidence, *sentences.unclear(evidence))
    return None


def _some_blocked(evidence: PoolEvidence) -> PoolDiagnosis | None:
    if not evidence.count_of(Verdict.BLOCKED):
        return None
    is_probable = evidence.is_only_probable(Verdict.BLOCKED)
    reasons = sentences.troubles(evidence)
    return _made(Diagnosis.BLOCKED, evidence, *reasons, is_probable=is_probable)


def _hurt(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report callers that were hurt for a reason that no rule establishes: never healthy."""
    growth = evidence.numbers.growth
    reasons = list(sentences.hurts(growth))
    if evidence.count_of(Verdict.LOST):
        reasons.append(sentences.lost_sessions(evidence))
    if not reasons:
        return None
    return _made(Diagnosis.UNKNOWN, evidence, *reasons)


_RULES: Final[tuple[_Rule, ...]] = (
    _no_data,
    _connect_failing,
    _loop_blocked,
    _server_full,
    _connecting,
    _leaking,
    _troubled,
    _queued_in_pooler,
    _undersized,
    _full,
    _some_blocked,
    _hurt,
)


def _healthy(evidence: PoolEvidence) -> PoolDiagnosis:
    """Claim health only where a limit or a queue is known; findings stand beside it."""
    numbers = evidence.numbers
    if numbers.pending is None and (numbers.used is None or numbers.max is None):
        reason = "neither the limit nor the queue of this pool is known"
        return PoolDiagnosis(Diagnosis.UNKNOWN, (reason, *sentences.in_use(evidence)))
    reasons = (*sentences.in_use(evidence), *sentences.findings(evidence))
    return PoolDiagnosis(Diagnosis.HEALTHY, reasons)
