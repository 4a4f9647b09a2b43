"""Alert on how an application uses its pool: sockets, transactions, locks, the event loop."""

from collections.abc import Callable

from poolscope import catalogue as wire
from poolscope_alerts.model import NUMBER, PROCESS_WORDS, Alert, Component, Sources, label
from poolscope_alerts.promql import POOL, REASON, ROUTE, by, duration, increase, name, selector
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on usage."""
    make: tuple[Callable[[Sources], Alert], ...] = (
        _stale, _stale_caught, _idle_in_transaction, _blocked, _blocking, _nested, _shared,
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
    matchers: str = "",
) -> Alert:
    """Return an alert on something that should never happen; `words` are summary and what to do."""
    window_s = sources.tuning.event_window_s
    counted = increase(name(metric), duration(window_s / sources.pace), matchers)
    limit = max((sources[row].value or 0.0 for row in rows), default=0.0)
    summary, what = words
    return Alert(
        name=alert,
        severity=severity,
        component=Component.POOL,
        about=POOL,
        expression=f"{counted} > {limit:g}",
        limit=f"more than {limit:g} of these in {duration(window_s)}",
        summary=summary,
        description=f"{PROCESS_WORDS}: about {NUMBER} in {duration(window_s)}. {what}",
        thresholds=rows,
    )


def _stale(sources: Sources) -> Alert:
    row = sources[ThresholdId.T8]
    what = f"The statement that met it failed. {row.advice}"
    words = ("Stale connections reach the application.", what)
    reason = f'{REASON}="{wire.InvalidationReason.ERROR}"'
    return _event(
        sources,
        "PoolStaleSockets",
        row.severity,
        wire.INVALIDATED,
        words,
        rows=(row.id,),
        matchers=reason,
    )


def _stale_caught(sources: Sources) -> Alert:
    row = sources[ThresholdId.T8]
    what = f"The application did not notice, but each one cost a new connection. {row.advice}"
    words = ("Pre-ping finds stale connections in the pool.", what)
    reason = f'{REASON}="{wire.InvalidationReason.PING}"'
    return _event(
        sources,
        "PoolStaleSocketsCaught",
        Severity.INFO,
        wire.INVALIDATED,
        words,
        rows=(row.id,),
        matchers=reason,
    )


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
        "Whoever holds one connection and waits for another of the same pool can wait for ever: "
        "enough of them at once are a deadlock. Pass the connection on instead of asking again."
    )
    words = ("Requests that hold a connection wait for a second one.", what)
    return _event(sources, "PoolNestedCheckouts", Severity.WARNING, wire.NESTED_CHECKOUTS, words)


def _shared(sources: Sources) -> Alert:
    row = sources[ThresholdId.C11]
    words = ("One session is shared by concurrent tasks.", row.advice)
    return _event(
        sources, "PoolSharedSessions", row.severity, wire.SHARED_CONNECTIONS, words, rows=(row.id,)
    )


def _held(verdict: str) -> str:
    held = by((*POOL, "evidence", ROUTE), selector(own.HELD_CHECKOUTS.name, f'verdict="{verdict}"'))
    return by((*POOL, ROUTE), held, "sum") + " > 0"


def _idle_in_transaction(sources: Sources) -> Alert:
    lasting_s = sources.tuning.lasting_s
    return Alert(
        name="PoolIdleInTransaction",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=(*POOL, ROUTE),
        expression=_held("idle_in_transaction"),
        limit="at every look, a connection was held with a transaction open and no statement",
        summary="A route leaves transactions open while it does something else.",
        description=(
            f"{PROCESS_WORDS}: route {label(ROUTE)} has {NUMBER} connection(s) idle in a "
            f"transaction, at every look for {duration(lasting_s)}. They keep locks and hold back "
            "vacuum: end the transaction before the slow work."
        ),
        for_s=lasting_s,
        keep_firing_s=sources.tuning.keep_firing_s,
    )


def _blocked(sources: Sources) -> Alert:
    return Alert(
        name="PoolBlocked",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=(*POOL, ROUTE),
        expression=_held("blocked"),
        limit="at every look, a connection was held whose session waits for a lock",
        summary="Requests hold connections that wait for somebody's lock.",
        description=(
            f"{PROCESS_WORDS}: {NUMBER} connection(s) of route {label(ROUTE)} wait for a lock. "
            "The live page names the checkout that holds it, with route and line."
        ),
        for_s=60,
        keep_firing_s=sources.tuning.keep_firing_s,
    )
