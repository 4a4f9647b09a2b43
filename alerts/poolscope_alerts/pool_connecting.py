"""Alert on connections that cannot be opened, or open slowly: no larger pool helps either."""

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.conditions.causes import UNLESS_PAGED, hurting
from poolscope_alerts.conditions.connecting import FAILING_WINDOW_S, cannot_connect
from poolscope_alerts.conditions.pressure import full
from poolscope_alerts.model import (
    CALLERS_HURT,
    NUMBER,
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
from poolscope_exporter.core.judging.diagnosis import Diagnosis

_SLOW_WINDOW_S = 120.0
_SLOW_S = 1.0
_BRIDGE_S = 60.0
"""Bridges a missed scrape; whoever was called is soon told that the connections open again."""


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on opening connections, the worst first."""
    return _failing(sources), _slow_for_callers(sources), _slow(sources)


def _failing(sources: Sources) -> Alert:
    tuning = sources.tuning
    return Alert(
        name="PoolConnectFailing",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=(*SERVICE_POOL, KIND),
        expression=cannot_connect(sources),
        limit=(
            f"more than {tuning.connect_failing_share:.0%} of the attempts to open a connection "
            f"fail with one kind of error, at least {tuning.connect_failing_least:g} in "
            f"{duration(FAILING_WINDOW_S)}. This lasts for {duration(FAILING_WINDOW_S)}, or for "
            f"{duration(tuning.connect_recent_s / 2)} without a success"
        ),
        summary="Connections to the database cannot be opened.",
        description=(
            f"{POOL_WORDS}: {PERCENT} of the attempts to open a connection fail: {label(KIND)}. "
            "Callers get errors. A larger pool does not help: see the runbook for this kind."
        ),
        keep_firing_s=_BRIDGE_S,
        within_s=tuning.connect_recent_s / 2,
    )


def _slow_for_callers(sources: Sources) -> Alert:
    return Alert(
        name="PoolConnectSlow",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=f"{full(sources)} and ({hurting(Diagnosis.CONNECTING)})",
        limit=(
            f"the diagnosis of the pool is `{Diagnosis.CONNECTING}`, every connection is checked "
            "out, and callers have waited too long or have given up"
        ),
        summary="Callers get no connection, because opening one is slow.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out or open slowly, and "
            "callers wait or time out. Look at the network, name resolution, TLS and the server's "
            "load; a larger pool does not make opening faster."
        ),
        thresholds=(ThresholdId.T10,),
        keep_firing_s=sources.keep_firing_s(),
        labels=CALLERS_HURT,
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
            f"({slow} / {opened} > {tuning.connect_slow_share:g}"
            f" and {slow} * {window_s:g} >= {tuning.connect_slow_least:g}"
            f" or {by(POOL, waits)} > {_SLOW_S:g}) {UNLESS_PAGED}"
        ),
        limit=(
            f"more than {tuning.connect_slow_share:.0%} of the connections, and at least "
            f"{tuning.connect_slow_least:g} in {duration(_SLOW_WINDOW_S)}, took longer than "
            f"{_SLOW_S:g} s to open. Or a caller has waited that long until one opens or is tested"
        ),
        summary="Opening connections to the database is slow.",
        description=(
            f"{PROCESS_WORDS}: connections take longer than {_SLOW_S:g} s to open or to test. "
            "Look at the network, name resolution, TLS and the server's load; "
            "a larger pool does not make opening faster."
        ),
        thresholds=(ThresholdId.T10,),
        for_s=120,
        keep_firing_s=sources.keep_firing_s(_SLOW_WINDOW_S),
    )
