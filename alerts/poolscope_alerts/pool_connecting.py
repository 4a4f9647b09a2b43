"""Alert on connections that cannot be opened, or open slowly: no larger pool helps either."""

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.model import (
    PERCENT,
    POOL_WORDS,
    PROCESS_WORDS,
    Alert,
    Component,
    Sources,
    label,
)
from poolscope_alerts.promql import (
    KIND,
    PHASE,
    POOL,
    SERVICE_POOL,
    bucket,
    by,
    duration,
    name,
    rate,
    selector,
)
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId

_FAILING_WINDOW_S = 60.0
_SLOW_WINDOW_S = 120.0
_SLOW_S = 1.0
_BRIDGE_S = 60.0
"""Bridges a missed scrape; whoever was called is soon told that the connections open again."""


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on opening connections, the worst first."""
    return _failing(sources), _slow(sources)


def _failing(sources: Sources) -> Alert:
    tuning = sources.tuning
    window_s = _FAILING_WINDOW_S / sources.pace
    over = duration(window_s)
    by_kind, opened = _errors(over, KIND), _per_service(rate(name(wire.OPENED), over))
    attempts = f"({_per_service(_errors(over))} + {opened})"
    return Alert(
        name="PoolConnectFailing",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=(*SERVICE_POOL, KIND),
        expression=(
            f"{by_kind} / ignoring ({KIND}) group_left () {attempts}"
            f" > {tuning.connect_failing_share:g}"
            f" and {by_kind} * {window_s:g} >= {tuning.connect_failing_least:g}"
        ),
        limit=(
            f"more than {tuning.connect_failing_share:.0%} of the attempts to open a connection, "
            f"and at least {tuning.connect_failing_least:g} in {duration(_FAILING_WINDOW_S)}, "
            "failed in one way"
        ),
        summary="Connections to the database cannot be opened.",
        description=(
            f"{POOL_WORDS}: {PERCENT} of the attempts to open a connection fail: {label(KIND)}. "
            "Callers get errors. A larger pool does not help: see the runbook for this kind."
        ),
        keep_firing_s=_BRIDGE_S,
    )


def _slow(sources: Sources) -> Alert:
    tuning = sources.tuning
    window_s = _SLOW_WINDOW_S / sources.pace
    over = duration(window_s)
    series, matcher = bucket(wire.CREATE_TIME, _SLOW_S)
    opened = rate(f"{name(wire.CREATE_TIME)}_count", over)
    slow = f"({opened} - {rate(series, over, matcher)})"
    waits = selector(name(wire.PENDING_AGE), f'{PHASE}=~"{Phase.CONNECT}|{Phase.PING}"')
    return Alert(
        name="PoolConnectSlow",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{slow} / {opened} > {tuning.connect_slow_share:g}"
            f" and {slow} * {window_s:g} >= {tuning.connect_slow_least:g}"
            f" or 0 * {by(POOL, waits)} + 1 and {by(POOL, waits)} > {_SLOW_S:g}"
        ),
        limit=(
            f"more than {tuning.connect_slow_share:.0%} of the connections, and at least "
            f"{tuning.connect_slow_least:g} in {duration(_SLOW_WINDOW_S)}, took longer than "
            f"{_SLOW_S:g} s to open, or a caller waits that long for one to open or to be tested"
        ),
        summary="Opening connections to the database is slow.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the connections take longer than {_SLOW_S:g} s to "
            "open or to test. Look at the network, name resolution, TLS and the server's load; "
            "a larger pool does not make opening faster."
        ),
        thresholds=(ThresholdId.T10,),
        for_s=120,
        keep_firing_s=sources.keep_firing_s(_SLOW_WINDOW_S),
    )


def _errors(over: str, *labels: str) -> str:
    """Return how many attempts fail per second, over all processes; two exporters count once."""
    errors = f"rate({selector(name(wire.CONNECT_ERRORS), over=over)})"
    return by((*SERVICE_POOL, *labels), by((*POOL, KIND), errors), "sum")


def _per_service(expression: str) -> str:
    return by(SERVICE_POOL, expression, "sum")
