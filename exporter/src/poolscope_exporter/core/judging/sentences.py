"""Write the sentences of a diagnosis: what is known, with its numbers, and nothing more."""

from collections.abc import Iterator
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import EFFECTS, Effect, Evidence, Metric, Phase
from poolscope_exporter.core.fleet.growth import COUNT, WINDOW_S, Growth
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters
from poolscope_exporter.core.judging.pool_evidence import PoolEvidence
from poolscope_exporter.core.judging.verdicts import Verdict

NO_NUMBERS: Final = "the application sent no numbers of this pool"
_LATELY: Final = f"in the last {WINDOW_S:.0f} s"

FEW_WAITERS: Final = 3
"""Of fewer waiting callers it is no news that most are one request."""

_TROUBLES: Final = {
    Verdict.BLOCKED: "waiting for a lock",
    Verdict.SLOW_QUERY: "running a slow query",
    Verdict.IDLE_IN_TRANSACTION: "holding a transaction open without using it",
    Verdict.HELD_IDLE: "held without being used",
    Verdict.STALLED: "waiting for the application to go on",
}
_UNCLEAR: Final = {
    Verdict.UNKNOWN: "held by checkouts whose server session is unknown",
    Verdict.UNCONFIRMED: "held by checkouts whose server session is not confirmed yet",
    Verdict.LOST: "held by checkouts whose server session is gone",
}
_ENDED: Final = {
    Evidence.REQUEST_FINISHED: "whose request has finished",
    Evidence.TASK_FINISHED: "whose task has finished",
    Evidence.THREAD_FINISHED: "whose thread has finished",
    Evidence.GARBAGE_COLLECTED: "garbage-collected without being returned",
}
_PHASES: Final = {
    Phase.QUEUE: "for a place in the pool",
    Phase.CONNECT: "for a new connection to open",
    Phase.PING: "for the liveness check of a connection",
    Phase.RESET: "for a returned connection to be reset",
}
_FINDINGS: Final = {
    catalogue.LEAKS.name: ("checkout", "garbage-collected without being returned"),
    catalogue.NESTED_CHECKOUTS.name: ("caller", "waited while holding a connection of this pool"),
    catalogue.SHARED_CONNECTIONS.name: ("error", "from a connection in use by two tasks at once"),
}
_HURTS: Final[dict[Metric, tuple[str, str]]] = {
    catalogue.TIMEOUTS: ("caller", "gave up waiting"),
    catalogue.CHECKOUT_FAILURES: ("request", "for a connection failed"),
    catalogue.CONNECT_ERRORS: ("attempt", "to open a connection failed"),
    catalogue.INVALIDATED: ("connection", "broke while in use"),
    catalogue.LEAKS: ("checkout", "leaked, apparently,"),
}


def pressure(evidence: PoolEvidence) -> Iterator[str]:
    """Yield what callers of the pool meet now, and met in the window."""
    numbers = evidence.numbers
    if evidence.is_full:
        yield f"all {numbers.max} connections are in use"
    if numbers.pending:
        yield _waiting(numbers.pending, max(numbers.oldest_wait_s.values(), default=None))
    if numbers.waiters is not None:
        yield from _most_waiters(numbers.waiters)
    if evidence.gave_up:
        yield _happened(evidence.gave_up, "caller", "gave up waiting")


def _most_waiters(waiters: PoolWaiters) -> Iterator[str]:
    """Yield which request and line most of the waiting callers are, if half of them are one."""
    if waiters.listed < FEW_WAITERS:
        return
    largest = max(waiters.groups, key=lambda group: group.count)
    line = None if largest.code_file is None else f"at {largest.code_file}:{largest.code_line}"
    where = " ".join(part for part in (largest.route, line) if part)
    if where and 2 * largest.count >= waiters.listed:
        is_part = waiters.listed < waiters.waiting
        of_all = f"the {waiters.listed} oldest" if is_part else f"{waiters.listed}"
        yield f"{largest.count} of {of_all} waiters are {where}"


def in_use(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how much of the pool is in use, and whether anybody waits."""
    used, limit, pending = evidence.numbers.used, evidence.numbers.max, evidence.numbers.pending
    if used is None and pending is None:
        return
    if used is None:
        yield "nobody waits for a connection"
        return
    of_limit = "" if limit is None else f" of {limit}"
    yield f"{used}{of_limit} connections are in use" + ("" if pending else ", nobody waits")


def findings(evidence: PoolEvidence) -> Iterator[str]:
    """Yield the misuse that stands beside any diagnosis."""
    for name, grown in evidence.findings.items():
        yield _happened(grown, *_FINDINGS[name])


def failed_attempts(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many attempts to open a connection failed, by kind, and how many callers did."""
    errors = evidence.connect_errors
    kinds = ", ".join(
        f"{kind} {count:.0f}" for kind, count in sorted(errors.items(), key=lambda item: -item[1])
    )
    failed = sum(errors.values())
    yield (
        f"{failed:.0f} of {evidence.attempts:.0f} attempts to open a connection failed"
        f" {_LATELY}: {kinds}"
    )
    if failures := evidence.numbers.growth.failures:
        yield f"{_counted(failures, 'caller')} got an error instead of a connection"


def waiting_in(phase: Phase, count: int, oldest_s: float) -> str:
    """Return how many callers wait in a phase, and for how long."""
    verb = "caller waits" if count == 1 else "callers wait"
    return f"{count} {verb} {_PHASES[phase]}, the oldest for {oldest_s:.1f} s"


def slow_to_open(mean_s: float) -> str:
    """Return how long the connections took that were opened in the window."""
    return f"opening a connection took {mean_s:.1f} s on average {_LATELY}"


def leaks(evidence: PoolEvidence) -> Iterator[str]:
    """Yield the leaked checkouts by their evidence."""
    for kind, count in evidence.leaks.most_common():
        ended = _ENDED[kind] if kind else "that leaked"
        yield share(evidence, count, f"held by checkouts {ended}")
    if evidence.leaks_without_server:
        yield f"{evidence.leaks_without_server} of them without a server connection"
    if not evidence.leaks and evidence.leaked_lately:
        yield _happened(evidence.leaked_lately, *_HURTS[catalogue.LEAKS])


def lost_places(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many places the pool lost to the garbage collector."""
    if lost := evidence.numbers.lost_places:
        limit = evidence.numbers.max or evidence.out
        verb = "place is" if lost == 1 else "places are"
        yield f"{lost} of {limit} {verb} lost: a connection was collected, not returned"


def troubles(evidence: PoolEvidence) -> Iterator[str]:
    """Yield what the held checkouts do, the commonest first."""
    counts = {verdict: evidence.count_of(verdict) for verdict in _TROUBLES}
    for verdict, count in sorted(counts.items(), key=lambda item: -item[1]):
        if count:
            probably = "probably " if evidence.is_only_probable(verdict) else ""
            yield share(evidence, count, probably + _TROUBLES[verdict])


def unclear(evidence: PoolEvidence) -> Iterator[str]:
    """Yield which checkouts nothing certain is known of, and why."""
    for verdict, says in _UNCLEAR.items():
        if count := evidence.confirmed[verdict]:
            yield share(evidence, count, says)
    for reason in evidence.unknown_reasons:
        if reason:
            yield f"reason: {reason}"


def nothing_returned(evidence: PoolEvidence) -> Iterator[str]:
    """Yield that no connection came back in the window, where the sender counts that."""
    growth = evidence.numbers.growth
    ended = growth.of(catalogue.USE_TIME, COUNT)
    if ended == 0:
        yield f"no connection came back {_LATELY}"


def queued_in_pooler(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many callers queue in the pooler, and whether it is paused."""
    yield share(evidence, evidence.queued, "waiting in the pooler's queue for a server connection")
    yield f"the longest of them for {evidence.longest_queued_s:.1f} s"
    if evidence.destination.is_paused:
        yield f"PgBouncer {evidence.destination.bouncer} is paused: RESUME lets it go on"


def lost_sessions(evidence: PoolEvidence) -> str:
    """Return how many checkouts are held that have no session any more."""
    return share(evidence, evidence.count_of(Verdict.LOST), _UNCLEAR[Verdict.LOST])


def hurts(growth: Growth) -> Iterator[str]:
    """Yield what hurt callers in the window, but for leaks, which have a diagnosis."""
    for metric in (each for each in EFFECTS if each is not catalogue.LEAKS):
        if grown := sum(growth.by_value(metric, Effect.HURTS).values()):
            yield _happened(grown, *_HURTS[metric])


def share(evidence: PoolEvidence, count: int, says: str) -> str:
    """Return how many of the pool's connections something is true of."""
    of_all = f"{count} of {evidence.numbers.max or evidence.out} connections"
    if count != 1:
        return f"{of_all} are {says}"
    return f"{of_all} is {says.replace('by checkouts', 'by a checkout')}"


def _waiting(count: int, oldest_s: float | None) -> str:
    verb = "caller waits" if count == 1 else "callers wait"
    oldest = "" if oldest_s is None else f", the oldest for {oldest_s:.1f} s"
    return f"{count} {verb} for a connection{oldest}"


def _happened(count: float, noun: str, did: str) -> str:
    return f"{_counted(count, noun)} {did} {_LATELY}"


def _counted(count: float, noun: str) -> str:
    return f"{count:.0f} {noun}" + ("" if count == 1 else "s")
