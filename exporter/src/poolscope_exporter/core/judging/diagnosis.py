"""Diagnose a pool at one instant: causes in a fixed order, the first that applies wins."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, InvalidationReason, Phase
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
from poolscope_exporter.core.judging.server_load import UNKNOWN_LOAD, ServerLoad
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict


class Diagnosis(StrEnum):
    """The problem of a pool, the most serious cause first."""

    CONNECT_FAILING = "connect_failing"
    LOOP_BLOCKED = "loop_blocked"
    THREADS_EXHAUSTED = "threads_exhausted"
    SERVER_FULL = "server_full"
    CONNECTING = "connecting"
    SHARED_ACROSS_FORK = "shared_across_fork"
    DEADLOCKED = "deadlocked"
    LEAKING = "leaking"
    BLOCKED = "blocked"
    SLOW_QUERIES = "slow_queries"
    HELD_IDLE = "held_idle"
    SERVER_SLOW = "server_slow"
    UNDERSIZED = "undersized"
    FULL = "full"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class PoolDiagnosis:
    """A diagnosis and its reasons: plain sentences with the numbers, the most important first.

    With `is_probable`, no later push has confirmed its samples yet. Its age in seconds is
    `since_s`, None if it was made for one instant only. Its last evidence arrived at
    `evidence_at_s`, None if the evidence is current.
    """

    diagnosis: Diagnosis
    reasons: tuple[str, ...]
    is_probable: bool = False
    since_s: float | None = None
    evidence_at_s: float | None = None


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
    ended: Counter[Verdict] | None = None,
    *,
    load: ServerLoad = UNKNOWN_LOAD,
) -> PoolDiagnosis:
    """Diagnose one pool; `judgements` are its own, `headroom` is None if unknown.

    `ended` are the verdicts on checkouts that ended a moment ago. `load` is that of its server.
    """
    evidence = gather(numbers, judgements, headroom, destination, ended or Counter(), load=load)
    found = next((found for rule in _RULES if (found := rule(evidence))), None)
    if found is None:
        return _healthy(evidence)
    if found.evidence_at_s is not None:
        return found
    is_counted = _is_counted(found.diagnosis, evidence)
    return replace(found, evidence_at_s=numbers.growth.hurt_at_s) if is_counted else found


def _is_counted(diagnosis: Diagnosis, evidence: PoolEvidence) -> bool:
    """Return whether only counters support a diagnosis: it is as old as their last growth."""
    if diagnosis is Diagnosis.SHARED_ACROSS_FORK:
        return not evidence.inherited_in_use
    return diagnosis is Diagnosis.CONNECT_FAILING or not evidence.is_now


def _made(
    diagnosis: Diagnosis, evidence: PoolEvidence, *reasons: str, is_probable: bool = False
) -> PoolDiagnosis:
    """Return the diagnosis with its reasons first, then lost sessions, pressure and misuse."""
    lost = sentences.lost_in_use(evidence.numbers.growth)
    kept = sentences.kept_at(evidence)
    beside = (*lost, *sentences.pressure(evidence), *kept, *sentences.findings(evidence))
    return PoolDiagnosis(diagnosis, tuple(dict.fromkeys((*reasons, *beside))), is_probable)


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
    """Report an event loop that did not run: on it, no caller can even request a connection.

    A checkout that blocks a loop counts only while callers wait: a short one does no harm.
    """
    loops = evidence.blocked_loops
    is_blocked_by_waits = evidence.blocking_checkouts and evidence.is_under_pressure
    if loops is None and not is_blocked_by_waits:
        return None
    reasons = (*sentences.stalls(evidence), *sentences.blocking_checkouts(evidence))
    found = _made(Diagnosis.LOOP_BLOCKED, evidence, *reasons)
    if loops is None or is_blocked_by_waits:
        return found
    return replace(found, evidence_at_s=loops.seen_at_s)


def _threads_exhausted(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report that holders lack a thread to continue, while waiters occupy all threads."""
    awaiting = evidence.numbers.awaiting_thread or 0
    if not (evidence.waits or evidence.gave_up) or not awaiting or 2 * awaiting < evidence.out:
        return None
    return _made(Diagnosis.THREADS_EXHAUSTED, evidence, *sentences.no_thread(evidence))


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
    if evidence.is_queued_in_pooler:
        return None  # a connection that opens waits there too, so opening itself is not slow
    reasons = [
        sentences.waiting_in(phase, *evidence.waiting_in(phase))
        for phase in (Phase.CONNECT, Phase.PING)
        if evidence.waiting_in(phase)[1] > CONNECTING_S
    ]
    mean_s = evidence.numbers.growth.mean_s(catalogue.CREATE_TIME)
    if mean_s is not None and mean_s > CONNECTING_S and evidence.waits_for_opening:
        reasons.append(sentences.slow_to_open(mean_s))
    return _made(Diagnosis.CONNECTING, evidence, *reasons) if reasons else None


def _deadlocked(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report a deadlock: every holder of a connection waits for another one of the same pool."""
    held = evidence.numbers.held_by_waiters or 0
    leaked = evidence.count_of(Verdict.LEAKED)
    if not evidence.is_full or not evidence.waits or not held or held + leaked < evidence.out:
        return None
    return _made(Diagnosis.DEADLOCKED, evidence, sentences.held_by_waiters(evidence))


def _shared_across_fork(evidence: PoolEvidence) -> PoolDiagnosis | None:
    if not evidence.inherited_checkouts and not evidence.inherited_in_use:
        return None
    reasons = sentences.inherited(evidence)
    return _made(Diagnosis.SHARED_ACROSS_FORK, evidence, *reasons)


def _leaking(evidence: PoolEvidence) -> PoolDiagnosis | None:
    if not (evidence.leaks or evidence.numbers.lost_places or evidence.leaked_lately):
        return None
    reasons = [*sentences.leaks(evidence), *sentences.lost_places(evidence)]
    is_counted = evidence.numbers.lost_places or evidence.leaked_lately
    is_probable = not is_counted and evidence.is_only_probable(Verdict.LEAKED)
    troubles = sentences.troubles(evidence)
    return _made(Diagnosis.LEAKING, evidence, *reasons, *troubles, is_probable=is_probable)


def _troubled(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report the most frequent trouble of a pool under pressure, if half its checkouts have it."""
    troubled = evidence.troubled(*_ALL_TROUBLES)
    if not evidence.is_under_pressure or not troubled or 2 * troubled < evidence.of_whom:
        return None
    worst = max(_TROUBLES, key=lambda diagnosis: evidence.troubled(*_TROUBLES[diagnosis]))
    if worst is Diagnosis.SLOW_QUERIES and evidence.load.is_saturated:
        return None  # every statement is slow there: see _server_slow
    is_probable = evidence.is_only_probable(*_TROUBLES[worst])
    reasons = (*sentences.troubles(evidence), *sentences.ended_troubles(evidence))
    return _made(worst, evidence, *reasons, is_probable=is_probable)


def _queued_in_pooler(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report that no server connection is free, if callers queue for one in the pooler.

    A larger pool would only lengthen that queue. Leaks and troubles of the pool come first, because
    they may occupy the server connections.
    """
    if not evidence.is_queued_in_pooler:
        return None
    reasons = (*sentences.queued_in_pooler(evidence), *sentences.troubles(evidence))
    return _made(Diagnosis.SERVER_FULL, evidence, *reasons)


def _server_slow(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report that the database is the bottleneck: a larger pool would make it slower.

    Its slow statements are the effect, not a separate cause.
    """
    works = evidence.numbers.growth.of(catalogue.CHECKINS) or evidence.count_of(Verdict.SLOW_QUERY)
    if not (evidence.waits or evidence.gave_up) or not evidence.load.is_saturated or not works:
        return None
    if 2 * evidence.unclear >= max(1, evidence.out) or not evidence.waited_mostly_in_queue:
        return None
    reasons = (*sentences.saturated(evidence.load), *sentences.troubles(evidence))
    is_probable = not evidence.load.has_busy_cpus
    return _made(Diagnosis.SERVER_SLOW, evidence, *reasons, is_probable=is_probable)


def _undersized(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report that the pool is too small: many short uses ended while callers waited or gave up.

    If the number of CPUs is known, the server must have been polled since.
    """
    if not (evidence.waits or evidence.gave_up) or not evidence.lists_holders:
        return None
    if evidence.load.is_asked:
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
    """Report pressure without an established cause, with all related numbers.

    A full pool without long waits is only busy, if the sender counts the waiters and lists the
    holders. For example, one worker with one connection is always full. If the activity of most
    holders is unknown, the pool is not reported as healthy either. Checkouts that the application
    declared as long-lived are known.
    """
    is_only_busy = evidence.numbers.pending is not None and evidence.lists_holders
    if evidence.waits or evidence.gave_up or (evidence.is_full and not is_only_busy):
        reasons = (*sentences.unclear(evidence), *sentences.nothing_returned(evidence))
        return _made(Diagnosis.FULL, evidence, *reasons, *sentences.troubles(evidence))
    if evidence.is_full and 2 * evidence.unaccounted >= evidence.out:
        return _made(Diagnosis.UNKNOWN, evidence, *sentences.unclear(evidence))
    return None


def _some_blocked(evidence: PoolEvidence) -> PoolDiagnosis | None:
    if not evidence.count_of(Verdict.BLOCKED):
        return None
    is_probable = evidence.is_only_probable(Verdict.BLOCKED)
    reasons = sentences.troubles(evidence)
    return _made(Diagnosis.BLOCKED, evidence, *reasons, is_probable=is_probable)


def _ended_for_idling(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report idle transactions that the server has ended: it has established the cause itself."""
    ended = InvalidationReason.IDLE_IN_TRANSACTION_TIMEOUT
    if not evidence.numbers.growth.of(catalogue.INVALIDATED, ended):
        return None
    return _made(Diagnosis.HELD_IDLE, evidence)


def _hurt(evidence: PoolEvidence) -> PoolDiagnosis | None:
    """Report callers that were hurt for a reason that no rule establishes: never healthy.

    A session that is only probably lost is not reported. In a pool that closes connections, it is
    gone because its checkout has ended, which the next push shows.
    """
    growth = evidence.numbers.growth
    reasons = list(sentences.hurts(growth))
    if evidence.confirmed[Verdict.LOST]:
        reasons.append(sentences.lost_sessions(evidence))
    if not reasons and not growth.by_value(catalogue.INVALIDATED):
        return None
    return _made(Diagnosis.UNKNOWN, evidence, *reasons)


_RULES: Final[tuple[_Rule, ...]] = (
    _no_data,
    _connect_failing,
    _loop_blocked,
    _threads_exhausted,
    _server_full,
    _connecting,
    _shared_across_fork,
    _deadlocked,
    _leaking,
    _troubled,
    _queued_in_pooler,
    _server_slow,
    _undersized,
    _full,
    _some_blocked,
    _ended_for_idling,
    _hurt,
)


def _healthy(evidence: PoolEvidence) -> PoolDiagnosis:
    """Report health only if a limit or a queue is known; misuse is listed with it."""
    numbers = evidence.numbers
    if numbers.pending is None and (numbers.used is None or numbers.max is None):
        reason = "neither the limit nor the queue of this pool is known"
        return PoolDiagnosis(Diagnosis.UNKNOWN, (reason, *sentences.in_use(evidence)))
    reasons = (*sentences.in_use(evidence), *sentences.findings(evidence))
    return PoolDiagnosis(Diagnosis.HEALTHY, reasons)
