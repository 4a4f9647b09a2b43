"""Alert on those who wait: slow checkouts, and long waits in the queue."""

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.conditions.causes import unless_paged
from poolscope_alerts.model import NEXT_STEP, PERCENT, PROCESS_WORDS, Alert, Component, Sources
from poolscope_alerts.promql import (
    POOL,
    REASON,
    bucket,
    duration,
    name,
    rate,
    rate_of_failures,
)
from poolscope_exporter.core.checks.thresholds import ThresholdId

_WITHOUT_ONE = f'{REASON}=~"timeout|cancelled|error"'
_QUEUE_WINDOW_S = 300.0
_STILL_QUEUED_S = 120.0


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on waiting."""
    return _slow(sources), _queued(sources)


def _slow(sources: Sources) -> Alert:
    row, tuning = sources[ThresholdId.T1], sources.tuning
    looks_back_s = max(row.for_s, 60.0)
    window_s = looks_back_s / sources.pace
    over = duration(window_s)
    asked = f"({_waits(over)} + {_failed(over)})"
    slow = f"({_apart_from_opening(wire.WAIT_TIME, row.limit, over)} + {_failed(over)})"
    return Alert(
        name="PoolCheckoutSlow",
        severity=row.severity,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{slow} / {asked} > {tuning.slow_share:g}"
            f" and {asked} * {window_s:g} >= {tuning.slow_least:g}"
            f" {unless_paged(sources, window_s)}"
        ),
        limit=(
            f"more than {tuning.slow_share:.0%} of at least {tuning.slow_least:g} callers waited "
            f"longer than {row.limit:g} s for a connection, or got none. As many waits as "
            "connections that took so long to open are left out"
        ),
        summary="Getting a connection from the pool is slow.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the callers waited longer than {row.limit:g} s for a "
            "connection, or got none. If they queue, look at who holds the connections before you "
            "enlarge the pool. If connections fail to open, look at the network and the server: "
            "a larger pool does not help."
        ),
        thresholds=(ThresholdId.T1, ThresholdId.T10),
        for_s=row.for_s,
        keep_firing_s=sources.keep_firing_s(looks_back_s),
    )


def _queued(sources: Sources) -> Alert:
    row, tuning = sources[ThresholdId.T5], sources.tuning
    window_s = _QUEUE_WINDOW_S / sources.pace
    over = duration(window_s)
    queued = _apart_from_opening(wire.QUEUE_TIME, row.limit, over)
    lately = _longer(wire.QUEUE_TIME, row.limit, duration(_STILL_QUEUED_S / sources.pace))
    return Alert(
        name="PoolQueueLong",
        severity=row.severity,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{queued} / ({_waits(over)} + {_failed(over)}) > {tuning.queued_share:g}"
            f" and {queued} * {window_s:g} >= {tuning.queued_least:g}"
            f" and {lately} > 0"
            f" {unless_paged(sources, window_s)}"
        ),
        limit=(
            f"more than {tuning.queued_share:.0%} of the callers, and at least "
            f"{tuning.queued_least:g} in {duration(_QUEUE_WINDOW_S)}, queued longer than "
            f"{row.limit:g} s, the last one within {duration(_STILL_QUEUED_S)}. As many as "
            "connections that took so long to open are left out"
        ),
        summary="Requests queue for a connection.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the callers queued longer than {row.limit:g} s. "
            f"Opening a connection is not in this number. {NEXT_STEP}"
        ),
        thresholds=(ThresholdId.T5, ThresholdId.T10),
        for_s=row.for_s,
        keep_firing_s=sources.keep_firing_s(_STILL_QUEUED_S),
    )


def _waits(over: str) -> str:
    return rate(f"{name(wire.WAIT_TIME)}_count", over)


def _failed(over: str) -> str:
    """Return those who got no connection; 0 for senders that do not count them."""
    return f"({rate_of_failures(over, _WITHOUT_ONE)} or 0 * {_waits(over)})"


def _longer(metric: Metric, limit_s: float, over: str) -> str:
    series, matcher = bucket(metric, limit_s)
    return f"({rate(f'{name(metric)}_count', over)} - {rate(series, over, matcher)})"


def _apart_from_opening(metric: Metric, limit_s: float, over: str) -> str:
    """Return the long waits without those for an opening connection, which are PoolConnectSlow's.

    After a deployment each process opens its connections. A sender that times no opening leaves
    none out.
    """
    waited = _longer(metric, limit_s, over)
    opened = f"({_longer(wire.CREATE_TIME, limit_s, over)} or 0 * {_waits(over)})"
    return f"clamp_min({waited} - {opened}, 0)"
