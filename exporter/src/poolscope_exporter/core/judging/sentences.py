"""Write the sentences of a diagnosis: the known facts with their numbers."""

from collections.abc import Iterator
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import EFFECTS, Effect, Evidence, InvalidationReason, Metric, Phase
from poolscope_exporter.core.fleet.growth import COUNT, WINDOW_S, Growth
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters
from poolscope_exporter.core.judging.ended_verdicts import ENDED_FOR_S
from poolscope_exporter.core.judging.holders.keeping_lines import line_of, lock_holders, top_line
from poolscope_exporter.core.judging.pool_evidence import PoolEvidence
from poolscope_exporter.core.judging.prewarming import first_requests
from poolscope_exporter.core.judging.server_load import ServerLoad
from poolscope_exporter.core.judging.verdicts import Blocker, Verdict
from poolscope_exporter.core.model.pushes import LoopStall

NO_NUMBERS: Final = "the application sent no numbers of this pool"
_LATELY: Final = f"in the last {WINDOW_S:.0f} s"

INHERITED_CURE: Final = (
    "call engine.dispose(close=False) in the child after the fork (post_fork of gunicorn), "
    "or open the pool in the child"
)

FOREIGN_LOOP_CURE: Final = "use NullPool, or one event loop instead of asyncio.run"

MAX_BLOCKERS: Final = 3
"""The largest number of idle connections with a lock to name."""

FEW_WAITERS: Final = 3
"""With fewer waiting callers, it is no information that most are one request."""

_TROUBLES: Final = {
    Verdict.BLOCKED: "waiting for a lock",
    Verdict.SLOW_QUERY: "running a slow query",
    Verdict.IDLE_IN_TRANSACTION: "holding a transaction open without using it",
    Verdict.HELD_IDLE: "held without being used",
    Verdict.STALLED: "waiting for the application to go on",
}
_IDLE: Final = (Verdict.IDLE_IN_TRANSACTION, Verdict.HELD_IDLE, Verdict.STALLED)
"""Verdicts on connections that the application holds without using them."""

_UNCLEAR: Final = {
    Verdict.UNKNOWN: "held by checkouts with an unknown server session",
    Verdict.UNCONFIRMED: "held by checkouts with an unconfirmed server session",
    Verdict.LOST: "held by checkouts with a server session that is gone",
}
_ENDED: Final = {
    Evidence.REQUEST_FINISHED: "with a finished request",
    Evidence.JOB_FINISHED: "with a finished job",
    Evidence.TASK_FINISHED: "with a finished task",
    Evidence.THREAD_FINISHED: "with a finished thread",
    Evidence.THREAD_IDLE: "with a thread that went back to its pool",
    Evidence.GARBAGE_COLLECTED: "garbage-collected without being returned",
}
WAITS_FOR: Final = {
    Phase.QUEUE: "for a place in the pool",
    Phase.CONNECT: "for a new connection to open",
    Phase.PING: "for the liveness check of a connection",
    Phase.RESET: "for a returned connection to be reset",
}
_FINDINGS: Final = {
    catalogue.LEAKS.name: ("checkout", "garbage-collected without being returned"),
    catalogue.NESTED_CHECKOUTS.name: ("caller", "waited while holding a connection of this pool"),
    catalogue.SHARED_CONNECTIONS.name: (
        "use",
        "of the session of another request, task or thread",
    ),
}
LOST: Final = {
    InvalidationReason.IDLE_IN_TRANSACTION_TIMEOUT: (
        "the server ended {} by idle_in_transaction_session_timeout"
    ),
    InvalidationReason.IDLE_SESSION_TIMEOUT: "the server ended {} by idle_session_timeout",
    InvalidationReason.TRANSACTION_TIMEOUT: "the server ended {} by transaction_timeout",
    InvalidationReason.ADMIN: "an administrator, a shutdown or a crash of the server ended {}",
    InvalidationReason.TIMEOUT: "the driver gave up {} at its time limit of a statement",
    InvalidationReason.BROKEN: "a protocol error ended {}",
    InvalidationReason.SOCKET: "the server or the network closed the socket of {}",
    InvalidationReason.ERROR: "callers lost {} for a reason that the driver does not report",
}
"""How callers lost sessions in use, by reason; `{}` is the number."""
_HURTS: Final[dict[Metric, tuple[str, str]]] = {
    catalogue.TIMEOUTS: ("caller", "gave up waiting"),
    catalogue.CHECKOUT_FAILURES: ("request", "for a connection failed"),
    catalogue.CONNECT_ERRORS: ("attempt", "to open a connection failed"),
    catalogue.LEAKS: ("checkout", "apparently leaked"),
    catalogue.INHERITED_CHECKOUTS: ("checkout", "used a connection that another process opened"),
    catalogue.FOREIGN_LOOP_CHECKOUTS: ("checkout", "got a connection of another event loop"),
}


_NAMED_ELSEWHERE: Final = (
    catalogue.LEAKS,
    catalogue.FOREIGN_LOOP_CHECKOUTS,
    catalogue.INVALIDATED,
)
"""Metrics of harm to callers that have sentences elsewhere."""


def pressure(evidence: PoolEvidence) -> Iterator[str]:
    """Yield the waits and failures of the pool's callers, now and in the window."""
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
    """Yield the request and line of the largest group of waiters, if it has half of them."""
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
    """Yield how much of the pool is in use, and whether callers wait."""
    used, limit, pending = evidence.numbers.used, evidence.numbers.max, evidence.numbers.pending
    if used is None and pending is None:
        return
    if used is None:
        yield "nobody waits for a connection"
        return
    of_limit = "" if limit is None else f" of {limit}"
    waiting = ", waiting callers are not reported" if pending is None else ", nobody waits"
    yield f"{used}{of_limit} connections are in use" + ("" if pending else waiting)


def findings(evidence: PoolEvidence) -> Iterator[str]:
    """Yield sentences that are added to any diagnosis: misuse, and first requests that waited."""
    yield from _foreign_loops(evidence.numbers.growth)
    for name, grown in evidence.findings.items():
        yield _happened(grown, *_FINDINGS[name])
    yield from first_requests(evidence.numbers)


def _foreign_loops(growth: Growth) -> Iterator[str]:
    if grown := growth.of(catalogue.FOREIGN_LOOP_CHECKOUTS):
        happened = _happened(grown, *_HURTS[catalogue.FOREIGN_LOOP_CHECKOUTS])
        yield f"{happened}: {FOREIGN_LOOP_CURE}"


def failed_attempts(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many attempts to open a connection failed, by kind, and how many callers failed."""
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


def stalls(evidence: PoolEvidence) -> Iterator[str]:
    """Yield for how long an event loop did not run, and the line that blocked it."""
    loops = evidence.blocked_loops
    if loops is None:
        return
    current, longest = loops.current, loops.longest
    if current is not None:
        yield f"an event loop has not run for {current.lasted_s:.1f} s{_line_of(current)}"
    if loops.blocked_s > (current.lasted_s if current else 0.0):
        blocked = f"event loops did not run for {loops.blocked_s:.1f} s {_LATELY}"
        at_a_time = f"up to {longest.lasted_s:.1f} s at a time"
        yield f"{blocked}, {at_a_time}{_line_of(longest)}"


def _line_of(stall: LoopStall) -> str:
    if stall.code_file is None:
        return ""
    return f": {stall.code_file}:{stall.code_line} in {stall.code_function}"


def blocking_checkouts(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many callers of a synchronous pool blocked an event loop."""
    if count := evidence.blocking_checkouts:
        yield _happened(count, "synchronous checkout", "blocked a running event loop")


def no_thread(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many threads are in use, and how many holders wait for one."""
    awaiting, threads = evidence.numbers.awaiting_thread or 0, evidence.numbers.process.threads
    yield share(evidence, awaiting, "held by requests that wait for a worker thread")
    if threads is not None:
        limit = "?" if threads.max is None else threads.max
        waiting = "request waits" if threads.waiting == 1 else "requests wait"
        yield (
            f"{threads.used} of {limit} worker threads are in use,"
            f" {threads.waiting} {waiting} for one"
        )


def kept_at(evidence: PoolEvidence) -> Iterator[str]:
    """Yield which line of the application keeps most connections now."""
    return top_line(evidence.lines, evidence.numbers.max or evidence.out)


def held_by_waiters(evidence: PoolEvidence) -> str:
    """Return how many connections are held by callers that wait for a second one."""
    held = evidence.numbers.held_by_waiters or 0
    return share(evidence, held, "held by callers that wait for another one of this pool")


def waiting_in(phase: Phase, count: int, oldest_s: float) -> str:
    """Return how many callers wait in a phase, and for how long."""
    verb = "caller waits" if count == 1 else "callers wait"
    return f"{count} {verb} {WAITS_FOR[phase]}, the oldest for {oldest_s:.1f} s"


def slow_to_open(mean_s: float) -> str:
    """Return how long the connections took that were opened in the window."""
    return f"opening a connection took {mean_s:.1f} s on average {_LATELY}"


def inherited(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how often connections of another process were used, who shares them, and the cure."""
    if grown := evidence.inherited_checkouts:
        yield _happened(grown, *_HURTS[catalogue.INHERITED_CHECKOUTS])
    if in_use := evidence.inherited_in_use:
        yield share(evidence, in_use, "shared with another process by a fork")
    for each in evidence.numbers.inherited[:1]:
        route = each.route and f"by {each.route}"
        line = each.code_file and f"at {each.code_file}:{each.code_line}"
        if where := " ".join(part for part in (route, line) if part):
            yield f"the last of them was taken {where}"
    for each in [each for each in evidence.numbers.inherited if each.shared_with][:1]:
        also = ", ".join(each.shared_with)
        yield f"its session (backend pid {each.backend_pid}) is also used by {also}"
    yield INHERITED_CURE


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
    """Yield the activity of the held checkouts, the most frequent first."""
    counts = {verdict: evidence.count_of(verdict) for verdict in _TROUBLES}
    for verdict, count in sorted(counts.items(), key=lambda item: -item[1]):
        if count:
            probably = "probably " if evidence.is_only_probable(verdict) else ""
            says = share(evidence, count, probably + _TROUBLES[verdict])
            keeps = line_of(evidence.lines, verdict, count) if verdict in _IDLE else ""
            yield says + keeps
        if verdict is Verdict.BLOCKED:
            yield from _idle_blockers(evidence)
            yield from lock_holders(evidence.lines)


def _idle_blockers(evidence: PoolEvidence) -> Iterator[str]:
    """Yield which idle connections hold the lock, of this pool or of another one."""
    for blocker in sorted(evidence.idle_blockers, key=lambda blocker: blocker.pid)[:MAX_BLOCKERS]:
        yield (
            f"an idle connection of {_idle_pool(blocker)} holds a session-level"
            " advisory lock: use pg_advisory_xact_lock, or unlock in a finally block"
        )


def _idle_pool(blocker: Blocker) -> str:
    pool, last = blocker.idle_in, blocker.last
    name = f"pool {pool.name} of {pool.instance.name}" if pool and blocker.is_foreign else None
    line = f", last listed at {last.code_file}:{last.code_line}" if last and last.code_file else ""
    return f"{name or 'this pool'} (backend pid {blocker.pid}{line})"


def ended_troubles(evidence: PoolEvidence) -> Iterator[str]:
    """Yield the activity of the long uses that ended a moment ago, the most frequent first."""
    if not (ended := evidence.ended_long):
        return
    for verdict, count in evidence.ended.most_common():
        if says := _TROUBLES.get(verdict):
            verb = "was" if count == 1 else "were"
            lately = f"checkouts that ended in the last {ENDED_FOR_S:.0f} s"
            yield f"{count} of {ended} {lately} {verb} {says}"


def unclear(evidence: PoolEvidence) -> Iterator[str]:
    """Yield which checkouts have no certain state, and why."""
    for verdict, says in _UNCLEAR.items():
        if count := evidence.confirmed[verdict]:
            yield share(evidence, count, says)
    for reason in evidence.unknown_reasons:
        if reason:
            yield f"reason: {reason}"


def nothing_returned(evidence: PoolEvidence) -> Iterator[str]:
    """Yield that no connection was returned in the window, if the sender counts that."""
    growth = evidence.numbers.growth
    ended = growth.of(catalogue.USE_TIME, COUNT)
    if ended == 0:
        yield f"no connection was returned {_LATELY}"


def queued_in_pooler(evidence: PoolEvidence) -> Iterator[str]:
    """Yield how many callers queue in the pooler, and whether it is paused."""
    if evidence.queued:
        waiting = "waiting in the pooler's queue for a server connection"
        yield share(evidence, evidence.queued, waiting)
        yield f"the longest of them has waited for {evidence.longest_queued_s:.1f} s"
    if clients := evidence.destination.queued:
        noun = "client waits" if clients == 1 else "clients wait"
        longest_s = evidence.destination.longest_queued_s
        yield (
            f"{clients} {noun} in PgBouncer {evidence.destination.bouncer} for a server connection,"
            f" the longest for {longest_s:.1f} s, and none is free"
        )
    if evidence.destination.is_paused:
        yield f"PgBouncer {evidence.destination.bouncer} is paused: its clients wait until RESUME"


def lost_sessions(evidence: PoolEvidence) -> str:
    """Return how many held checkouts no longer have a session."""
    return share(evidence, evidence.confirmed[Verdict.LOST], _UNCLEAR[Verdict.LOST])


def saturated(load: ServerLoad) -> Iterator[str]:
    """Yield why the server is the bottleneck, and the cure."""
    if load.has_busy_cpus and load.cpu_share is not None and load.cpus is not None:
        computing = load.cpu_share * load.cpus
        yield f"{computing:.1f} sessions compute on the server's {load.cpus:g} CPUs, on average"
    if load.is_on_plateau and load.plateau is not None:
        before = load.plateau
        yield (
            f"a checkout takes {before.mean_s:.2g} s with {before.at_work:.1f} connections at "
            f"work, and took {before.mean_before_s:.2g} s with {before.at_work_before:.1f}:"
            " throughput stays the same"
        )
    yield (
        "a larger pool would make every query slower: speed up the queries, or give the server "
        "more CPUs"
    )


def hurts(growth: Growth) -> Iterator[str]:
    """Yield what hurt callers in the window, except for metrics with a separate sentence."""
    yield from _foreign_loops(growth)
    for metric in (each for each in EFFECTS if each not in _NAMED_ELSEWHERE):
        if grown := sum(growth.by_value(metric, Effect.HURTS).values()):
            yield _happened(grown, *_HURTS[metric])


def lost_in_use(growth: Growth) -> Iterator[str]:
    """Yield how many sessions callers lost in the window, by reason, the most frequent first."""
    lost = growth.by_value(catalogue.INVALIDATED, Effect.HURTS)
    for reason, count in sorted(lost.items(), key=lambda item: -item[1]):
        yield f"{LOST[InvalidationReason(reason)].format(_counted(count, 'session'))} {_LATELY}"


def share(evidence: PoolEvidence, count: int, says: str) -> str:
    """Return the share of the pool's connections with this property."""
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
