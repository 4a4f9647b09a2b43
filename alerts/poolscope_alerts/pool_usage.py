"""Alert on how an application uses its pool: sockets, sessions, nested and shared connections."""

from collections.abc import Callable, Iterable

from poolscope import catalogue as wire
from poolscope.catalogue import Effect, InvalidationReason
from poolscope_alerts.conditions.causes import unless_paged
from poolscope_alerts.model import (
    NUMBER,
    PROCESS_WORDS,
    Alert,
    Component,
    Sources,
    label,
)
from poolscope_alerts.promql import (
    CALL_SITE,
    POOL,
    REASON,
    USED_AT,
    Labels,
    by,
    duration,
    grown_or_begun,
    increase,
    name,
    selector,
)
from poolscope_alerts.servers import RESTART_ENDS, unanswered_polls
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.judging.diagnosis import Diagnosis

_RESTART_SHOWS_S = 30.0
"""By then a poll, and a scrape after it, show whether a restart closed the sockets."""

_NO_RESTART = ", and the server was neither down nor replaced"
_UNLESS_RESTART = (
    ". Ends by an administrator or without a reason do not count if the server was down or replaced"
)
_UNLESS_PAGED = (
    ". Statements and transactions that timed out do not count if a page was sent for the full pool"
)

STALE = (InvalidationReason.SOCKET, InvalidationReason.IDLE_SESSION_TIMEOUT)
"""What a statement would not have met, had the pool replaced or tested the connection before."""

CAUGHT = (InvalidationReason.PING, InvalidationReason.LOST_WHILE_IDLE)
"""What no statement met."""

ENDED = tuple(
    reason
    for reason in InvalidationReason
    if wire.EFFECTS[wire.INVALIDATED][reason] is Effect.HURTS and reason not in STALE
)
"""What recycling and pre-ping do not prevent."""

TIMED_OUT = (InvalidationReason.TIMEOUT, InvalidationReason.TRANSACTION_TIMEOUT)
"""How sessions end that wait for a lock, or run a slow query, for too long."""


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on usage."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _stale, _caught, _ended, _blocking, _nested, _shared, _shared_across_fork,
    )  # fmt: skip
    return tuple(each(sources) for each in make)


def _event(
    sources: Sources,
    alert: str,
    severity: Severity,
    metric: wire.Metric,
    words: tuple[str, str],
    *,
    rows: tuple[ThresholdId, ...] = (),
) -> Alert:
    """Return an alert on something that should never happen; `words` are summary and what to do."""
    window_s = sources.tuning.event_window_s
    counted = increase(name(metric), duration(window_s / sources.pace))
    limit = max((sources[row].value or 0.0 for row in rows), default=0.0)
    summary, what = words
    return Alert(
        name=alert,
        severity=severity,
        component=Component.POOL,
        about=POOL,
        expression=f"{counted} > {limit:g}",
        limit=f"more than {limit:g} such events in {duration(window_s)}",
        summary=summary,
        description=f"{PROCESS_WORDS}: about {NUMBER} in {duration(window_s)}. {what}",
        thresholds=rows,
    )


def _stale(sources: Sources) -> Alert:
    """Alert on stale sockets, unless the server was restarted or failed over meanwhile.

    Then every connection of a pool is stale once, whatever its settings: `DatabaseRestarted` is the
    one alert on it. A server that is down, or was, has not shown yet that it was replaced.
    """
    row = sources[ThresholdId.T8]
    return Alert(
        name="PoolStaleSockets",
        severity=row.severity,
        component=Component.POOL,
        about=POOL,
        expression=_without_restart(sources, f"{_lost(sources, STALE)} > {row.limit:g}"),
        limit=f"{_limit(sources, row.limit)}{_NO_RESTART}",
        summary="Stale connections reach the application.",
        description=(
            f"{PROCESS_WORDS}: about {NUMBER} in {_shown_window(sources)}. "
            f"The statement that met it failed. {row.advice}"
        ),
        thresholds=(row.id,),
        for_s=row.for_s or _RESTART_SHOWS_S,
    )


def _without_restart(sources: Sources, expression: str) -> str:
    """Return the expression without the pools whose server was down or replaced in the window."""
    over = _window(sources)
    changes = by(("server",), f"increase({own.SERVER_CHANGES.name}[{over}])")
    leading = by((*POOL, "server"), own.POOL_DESTINATION.name)
    changed = f"({leading} and on (server) ({changes} > 0 or {_down(over)}))"
    return f"{expression} unless on ({', '.join(POOL)}) {changed}"


def _down(over: str) -> str:
    """Return the servers that did not answer a poll of the window."""
    up = by(("server",), f"min_over_time({own.SERVER_UP.name}[{over}])")
    return f"{up} == 0 and {unanswered_polls(over)} > 0"


def _caught(sources: Sources) -> Alert:
    row = sources[ThresholdId.T8]
    return Alert(
        name="PoolStaleSocketsCaught",
        severity=Severity.INFO,
        component=Component.POOL,
        about=POOL,
        expression=_without_restart(sources, f"{_lost(sources, CAUGHT)} > {row.limit:g}"),
        limit=f"{_limit(sources, row.limit)}{_NO_RESTART}",
        summary="Stale connections are found in the pool, before a statement uses them.",
        description=(
            f"{PROCESS_WORDS}: about {NUMBER} in {_shown_window(sources)}. The application did not "
            f"notice, but each one cost a new connection. {row.advice}"
        ),
        thresholds=(row.id,),
        for_s=_RESTART_SHOWS_S,
    )


def _ended(sources: Sources) -> Alert:
    """Alert on sessions that ended in use, unless another alert has their cause.

    The server has one alert for all sessions that a restart ended. If a lock or slow queries fill
    the pool, a page names this cause, and statements time out because of it.
    """
    apart = {*RESTART_ENDS, *TIMED_OUT}
    by_server = _by_reason(sources, (each for each in ENDED if each in RESTART_ENDS))
    timed_out = _by_reason(sources, TIMED_OUT)
    others = _by_reason(sources, (each for each in ENDED if each not in apart))
    unpaged = unless_paged(sources, sources.tuning.event_window_s / sources.pace)
    return Alert(
        name="PoolSessionsEnded",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=(*POOL, REASON),
        expression=(
            f"{others} > 0 or ({timed_out} > 0 {unpaged})"
            f" or ({_without_restart(sources, f'{by_server} > 0')})"
        ),
        limit=f"{_limit(sources)}{_UNLESS_RESTART}{_UNLESS_PAGED}",
        summary="Sessions end while the application uses them.",
        description=(
            f"{PROCESS_WORDS}: about {NUMBER} sessions ended in {_shown_window(sources)} while in "
            f"use: {label(REASON)}. Their statements failed. Recycling and pre-ping do not prevent "
            "that: see the runbook for this reason."
        ),
        for_s=_RESTART_SHOWS_S,
    )


def _lost(sources: Sources, reasons: Iterable[InvalidationReason]) -> str:
    """Return how many connections of each pool were lost for any of the reasons."""
    return by(POOL, _by_reason(sources, reasons), "sum")


def _by_reason(sources: Sources, reasons: Iterable[InvalidationReason]) -> str:
    labels: Labels = (*POOL, REASON)
    matcher = f'{REASON}=~"{"|".join(reasons)}"'
    return increase(name(wire.INVALIDATED), _window(sources), matcher, labels)


def _window(sources: Sources) -> str:
    return duration(sources.tuning.event_window_s / sources.pace)


def _shown_window(sources: Sources) -> str:
    return duration(sources.tuning.event_window_s)


def _limit(sources: Sources, most: float = 0.0) -> str:
    return f"more than {most:g} of these in {_shown_window(sources)}"


def _blocking(sources: Sources) -> Alert:
    row = sources[ThresholdId.C10]
    what = f"Meanwhile every other request of the process stands still. {row.advice}"
    words = ("A synchronous pool is used on the event loop.", what)
    return _event(
        sources,
        "PoolBlockingCheckouts",
        row.severity,
        wire.BLOCKING_CHECKOUTS,
        words,
        rows=(row.id,),
    )


def _nested(sources: Sources) -> Alert:
    what = (
        "A caller that holds one connection and waits for another of the same pool can wait for "
        "ever. If enough callers do so at once, the pool deadlocks. Pass the connection on instead."
    )
    words = ("Requests that hold a connection wait for a second one.", what)
    return _event(sources, "PoolNestedCheckouts", Severity.WARNING, wire.NESTED_CHECKOUTS, words)


def _shared(sources: Sources) -> Alert:
    row = sources[ThresholdId.C11]
    labels: Labels = (*POOL, REASON, CALL_SITE, USED_AT)
    shared = name(wire.SHARED_CONNECTIONS)
    lately = grown_or_begun(shared, labels, _window(sources))
    return Alert(
        name="PoolSharedSessions",
        severity=row.severity,
        component=Component.POOL,
        about=labels,
        expression=f"{by(labels, shared)} > 0 and ({lately})",
        limit=f"more than 0 such events in {_shown_window(sources)}",
        summary="One session is shared by requests, tasks or threads.",
        description=(
            f"{PROCESS_WORDS}: a connection that was taken at {label(CALL_SITE)} was also used at "
            f"{label(USED_AT)} ({label(REASON)}), {NUMBER} times since the process began. "
            f"{row.advice}"
        ),
        thresholds=(row.id,),
    )


def _shared_across_fork(sources: Sources) -> Alert:
    """Ask the diagnosis: a child often begins with a counter above 0, which never grows again."""
    window = duration(sources.tuning.event_window_s / sources.pace)
    matcher = f'diagnosis="{Diagnosis.SHARED_ACROSS_FORK}"'
    shared = f"max_over_time({selector(own.POOL_DIAGNOSIS.name, matcher, over=window)})"
    return Alert(
        name="PoolSharedAcrossFork",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=by(POOL, shared) + " > 0",
        limit=f"the pool had the diagnosis `{Diagnosis.SHARED_ACROSS_FORK}` within {window}",
        summary="Processes use connections that another process opened before a fork.",
        description=(
            f"{PROCESS_WORDS}: two processes read from one socket, so each can get the other's "
            "results, or an error. Call engine.dispose(close=False) in the child after the fork, "
            "or open the pool in the child."
        ),
    )
