"""Alert on the causes that the exporter establishes: locks, transactions, queries, full servers.

An alert on a cause is critical while callers are hurt: it pages in place of PoolExhausted.
"""

from collections.abc import Callable

from poolscope import catalogue as wire
from poolscope_alerts.conditions.causes import diagnosed, held, hurting, in_transaction
from poolscope_alerts.conditions.pressure import HURT, USED
from poolscope_alerts.model import (
    CALLERS_HURT,
    NUMBER,
    PERCENT,
    PROCESS_WORDS,
    SERVICE_WORDS,
    Alert,
    Component,
    Sources,
    label,
)
from poolscope_alerts.promql import (
    LOOK_S,
    POOL,
    PROCESS,
    at_most_looks,
    by,
    duration,
    name,
    on,
    selector,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict

_LOOP_WINDOW_S = 120.0
_BLOCKED_S = 60.0

HURT_WORDS = "callers have waited too long for the full pool, or have given up"


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on causes; those of one name stand together, the worse first."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _blocked_callers, _blocked, _idle_callers, _idle_in_transaction, _slow_queries,
        _server_full, _loop_callers, _loop_blocked,
    )  # fmt: skip
    return tuple(each(sources) for each in make)


def _paging(
    sources: Sources, alert: str, diagnosis: Diagnosis, expression: str, words: tuple[str, str]
) -> Alert:
    """Return the critical alert on a cause; its value is a number of connections.

    `words` are summary and description.
    """
    return Alert(
        name=alert,
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=expression,
        limit=f"the diagnosis of the pool is `{diagnosis}`, and {HURT_WORDS}",
        summary=words[0],
        description=f"{PROCESS_WORDS}: {words[1]}",
        keep_firing_s=sources.keep_firing_s(),
        labels=CALLERS_HURT,
    )


def _most(verdict: Verdict, window_s: float, sources: Sources) -> str:
    """Return the largest number of connections with a verdict at any look of a window."""
    over, step = duration(window_s / sources.pace), duration(LOOK_S / sources.pace)
    return f"max_over_time(({held(verdict)})[{over}:{step}])"


def _blocked_callers(sources: Sources) -> Alert:
    words = (
        "The pool waits for a lock: its callers get no connection.",
        (
            f"of {NUMBER} connection(s) in use, most wait for a lock. {HURT_WORDS.capitalize()}. "
            "End the transaction that holds the lock: a larger pool does not help."
        ),
    )
    expression = f"{USED} and ({hurting(Diagnosis.BLOCKED)})"
    return _paging(sources, "PoolBlocked", Diagnosis.BLOCKED, expression, words)


def _blocked(sources: Sources) -> Alert:
    share, over = sources.tuning.lasting_share, duration(_BLOCKED_S)
    lasting = at_most_looks(held(Verdict.BLOCKED), _BLOCKED_S, share, sources.pace)
    paged = hurting(Diagnosis.BLOCKED)
    return Alert(
        name="PoolBlocked",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{_most(Verdict.BLOCKED, _BLOCKED_S, sources)} and {lasting}"
            f" unless {on(POOL)} ({paged})"
        ),
        limit=(
            f"at {share:.0%} of the looks within {over}, the session of a held connection waits "
            "for a lock, on any route"
        ),
        summary="Requests hold connections that wait for another session's lock.",
        description=(
            f"{PROCESS_WORDS}: in the last {over}, up to {NUMBER} connection(s) at a time waited "
            "for a lock. The live page names the checkout that holds it, with route and line."
        ),
        within_s=_BLOCKED_S,
        keep_firing_s=sources.keep_firing_s(),
    )


def _idle_callers(sources: Sources) -> Alert:
    cause = f"{diagnosed(Diagnosis.HELD_IDLE)} and {HURT}"
    words = (
        "Open transactions that do nothing fill the pool: its callers get no connection.",
        (
            f"{NUMBER} connection(s) are idle in a transaction. {HURT_WORDS.capitalize()}. "
            "End the transaction before the slow work: a larger pool only holds more of them."
        ),
    )
    expression = f"{in_transaction(sources)} and ({cause})"
    return _paging(sources, "PoolIdleInTransaction", Diagnosis.HELD_IDLE, expression, words)


def _idle_in_transaction(sources: Sources) -> Alert:
    lasting_s, share = sources.tuning.lasting_s, sources.tuning.lasting_share
    idle = Verdict.IDLE_IN_TRANSACTION
    lasting = at_most_looks(held(idle), lasting_s, share, sources.pace)
    paged = f"{diagnosed(Diagnosis.HELD_IDLE)} and {HURT}"
    return Alert(
        name="PoolIdleInTransaction",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{_most(idle, lasting_s, sources)} and {lasting} and {in_transaction(sources)}"
            f" unless {on(POOL)} ({paged})"
        ),
        limit=(
            f"at {share:.0%} of the looks within {duration(lasting_s)}, a held connection has an "
            "open transaction and runs no statement, on any route"
        ),
        summary="Requests leave transactions open while they do something else.",
        description=(
            f"{PROCESS_WORDS}: in the last {duration(lasting_s)}, up to {NUMBER} "
            "connection(s) at a time were idle in a transaction. They keep locks and hold back "
            "vacuum: end the transaction before the slow work."
        ),
        within_s=lasting_s,
        keep_firing_s=sources.keep_firing_s(),
    )


def _slow_queries(sources: Sources) -> Alert:
    words = (
        "Slow queries fill the pool: its callers get no connection.",
        (
            f"of {NUMBER} connection(s) in use, most run a slow query. {HURT_WORDS.capitalize()}. "
            "Cancel the query on the server, then make it faster: a larger pool only runs more."
        ),
    )
    expression = f"{USED} and ({hurting(Diagnosis.SLOW_QUERIES)})"
    return _paging(sources, "PoolSlowQueries", Diagnosis.SLOW_QUERIES, expression, words)


def _server_full(sources: Sources) -> Alert:
    """Alert on a full server by its pool, where DatabaseFull does not page for all of them."""
    cause = hurting(Diagnosis.SERVER_FULL)
    leads = by((*POOL, "server"), own.POOL_DESTINATION.name)
    full = f"{leads} and {on(('server',))} {by(('server',), own.SERVER_HEADROOM.name)} <= 0"
    words = (
        "The server or PgBouncer has no connection left for this pool.",
        (
            f"it has {NUMBER} connection(s) in use, and the server or the PgBouncer in between has "
            f"none free. {HURT_WORDS.capitalize()}. Raise the limit there, or end its largest "
            "user: a larger pool makes it worse."
        ),
    )
    expression = f"{USED} and ({cause}) unless {on(POOL)} ({full})"
    return _paging(sources, "PoolServerFull", Diagnosis.SERVER_FULL, expression, words)


def _blocked_share(sources: Sources) -> str:
    over = duration(_LOOP_WINDOW_S / sources.pace)
    blocked = selector(name(wire.EVENT_LOOP_BLOCKED_TIME), over=over)
    return by(PROCESS, f"rate({blocked})")


def _loop_callers(sources: Sources) -> Alert:
    cause = hurting(Diagnosis.LOOP_BLOCKED)
    return Alert(
        name="PoolLoopBlocked",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=PROCESS,
        expression=f"{by(PROCESS, cause, 'count')} > 0",
        limit=f"the diagnosis of a pool is `{Diagnosis.LOOP_BLOCKED}`, and {HURT_WORDS}",
        summary="An event loop does not run: callers of the pool wait for it.",
        description=(
            f"Process {label('service_instance_id')} of {SERVICE_WORDS}: an event loop does not "
            f"run, and callers of {NUMBER} pool(s) wait or give up. Call the blocking code in a "
            "thread: a larger pool does not help. The diagnosis of the pool names the line."
        ),
        keep_firing_s=sources.keep_firing_s(),
        labels=CALLERS_HURT,
    )


def _loop_blocked(sources: Sources) -> Alert:
    share = sources.tuning.loop_blocked_share
    paged = by(PROCESS, hurting(Diagnosis.LOOP_BLOCKED))
    return Alert(
        name="PoolLoopBlocked",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=PROCESS,
        expression=f"{_blocked_share(sources)} > {share:g} unless {on(PROCESS)} {paged}",
        limit=(
            f"an event loop of the process did not run for more than {share:.0%} of "
            f"{duration(_LOOP_WINDOW_S)}, in stalls of half a second or more"
        ),
        summary="An event loop does not run: every request of the process waits.",
        description=(
            f"Process {label('service_instance_id')} of {SERVICE_WORDS}: an event loop did not run "
            f"for {PERCENT} of the last {duration(_LOOP_WINDOW_S)}. Requests, waits for a "
            "connection and time-outs of the process stand still meanwhile. The diagnosis of its "
            "pools names the line."
        ),
        keep_firing_s=sources.keep_firing_s(_LOOP_WINDOW_S),
    )
