"""Alert on lost connections: by what is lost, and by a least use that only rises."""

from poolscope import catalogue as wire
from poolscope_alerts.conditions.leaks import (
    COLLECTED,
    EVIDENCE_OF,
    LEAK,
    LINE,
    LOST,
    OUT,
    pools_lost,
)
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
    EVIDENCE,
    POOL,
    ROUTE,
    STATE,
    by,
    duration,
    grown_or_begun,
    name,
    per_pool,
    rate,
    selector,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.metrics.long_held import LONG_HELD_S

USED_STATE = f'{STATE}="used"'

LOSS = "loss"
"""The static label of PoolLeak: what the pool loses, or how it has its connections again."""

_OF_LINE = f"on ({', '.join(LINE)})"
_OF_POOL = f"on ({', '.join(POOL)})"
_BRIDGE_S = 60.0
"""Bridges a missed scrape: a leak goes on until it is known to be back."""


def _if_known(name: str, words: str) -> str:
    """Return words about a label, for alerts in which it has a value."""
    return f"{{{{ if $labels.{name} }}}}{words}{{{{ end }}}}"


_LINE_WORDS = _if_known(ROUTE, f" on route {label(ROUTE)}") + _if_known(
    CALL_SITE, f" at {label(CALL_SITE)}"
)


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on leaks, the worst first."""
    leaks = (_pool_lost, _lost, _returned, _collected)
    return (*(each(sources) for each in leaks), _suspected(sources))


def _leak(
    loss: str, severity: Severity, expression: str, limit: str, words: str, *, for_s: float = 0.0
) -> Alert:
    """Return one of the alerts of this name: one for each route and line, evidence in its words."""
    return Alert(
        name="PoolLeak",
        severity=severity,
        component=Component.POOL,
        about=LEAK,
        expression=f"({expression}) * {_OF_LINE} group_left ({EVIDENCE}) {EVIDENCE_OF}",
        limit=limit,
        summary="Connections are not returned to their pool.",
        description=f"{PROCESS_WORDS}: {NUMBER} connection(s) taken{_LINE_WORDS} {words}",
        thresholds=(ThresholdId.T4,),
        for_s=for_s,
        # A lesser alert that went on would be a second message beside the worse one.
        keep_firing_s=_BRIDGE_S if severity is Severity.CRITICAL else 0.0,
        labels={LOSS: loss},
    )


def _pool_lost(sources: Sources) -> Alert:
    tuning = sources.tuning
    ahead = duration(tuning.leak_ahead_s)
    return _leak(
        "pool",
        Severity.CRITICAL,
        f"{LOST} and {_OF_POOL} ({pools_lost(sources)})",
        f"leaks hold {tuning.leak_share:.0%} or more of the pool's limit, or will hold all of it "
        f"within {ahead} at the rate of the last {duration(tuning.leak_rate_s)}",
        f"were not returned (evidence: {label(EVIDENCE)}). Leaks hold {tuning.leak_share:.0%} or "
        f"more of the pool, or will exhaust it within {ahead} at the present rate. Restart the "
        "process now, then return the connection on every path of that line.",
    )


def _lost(sources: Sources) -> Alert:
    out_s = sources.tuning.leak_out_s
    return _leak(
        "connections",
        Severity.WARNING,
        f"{LOST} unless {_OF_POOL} ({pools_lost(sources)})",
        "a leaked connection of the line is out, and its leaks do not mostly come back",
        f"were not returned for {duration(out_s)} (evidence: {label(EVIDENCE)}). They are lost "
        "until the process restarts. Return the connection on every path of that line.",
        for_s=out_s,
    )


def _returned(sources: Sources) -> Alert:
    """Inform about leaks that came back, and about lines that hand their connections over."""
    shown = duration(sources.tuning.event_window_s)
    window = duration(sources.tuning.event_window_s / sources.pace)
    was_out = by(LINE, f"max_over_time({OUT}[{window}])", "sum")
    return _leak(
        "returned",
        Severity.INFO,
        f"{was_out} unless {LOST}",
        f"leaked connections came back within {shown}, or the leaks of the line mostly do",
        f"outlived their owner (evidence: {label(EVIDENCE)}). They came back, or usually do: the "
        "line passes them on. If it does so on purpose, declare it: "
        "`with poolscope.long_lived():`. If not, return them before the owner ends.",
    )


def _collected(sources: Sources) -> Alert:
    """Inform about connections that the pool has again because the collector ran."""
    window = duration(sources.tuning.event_window_s / sources.pace)
    leaks = selector(name(wire.LEAKS), COLLECTED)
    collected = by(LINE, grown_or_begun(leaks, LEAK, window), "sum")
    return _leak(
        "collected",
        Severity.INFO,
        f"{collected} unless {LOST}",
        "connections were garbage-collected without being returned within "
        f"{duration(sources.tuning.event_window_s)}, and the pool has them again",
        "were garbage-collected without being returned. The pool has them again, but only because "
        "the collector ran. Return the connection on every path of that line.",
    )


def _suspected(sources: Sources) -> Alert:
    row = sources[ThresholdId.T3]
    held = duration(LONG_HELD_S)
    return Alert(
        name="PoolLeakSuspected",
        severity=sources[ThresholdId.T4].severity,
        component=Component.POOL,
        about=LINE,
        expression=_suspicious_lines(sources, row.for_s / sources.pace),
        limit=(
            f"the least number of checked-out connections rose twice, {duration(row.for_s)} apart, "
            "without more traffic or evidence of a leak. The oldest only grew older, and a line "
            f"holds more for {held} or longer"
        ),
        summary="The number of checked-out connections only rises.",
        description=(
            f"{PROCESS_WORDS}: {NUMBER} connection(s) taken{_LINE_WORDS} are out for {held} or "
            "longer, more than before. The least number of checked-out connections rose twice, "
            f"{duration(row.for_s)} apart, without more traffic. A slow leak looks like this. "
            f"{row.advice}"
        ),
        thresholds=(ThresholdId.T3, ThresholdId.T4),
        keep_firing_s=_BRIDGE_S,
    )


def _suspicious_lines(sources: Sources, window_s: float) -> str:
    """Return the line that holds most of what is out for long, of each pool that rises.

    A pool with evidence has its line already. A line that holds what it held before does not make
    the pool rise: it is a listener beside the growing traffic of a process that has begun.
    """
    now = by(LINE, own.LONG_HELD_CHECKOUTS.name)
    before = by(LINE, selector(own.LONG_HELD_CHECKOUTS.name, offset=duration(2 * window_s)))
    more = f"({now} unless {now} <= {before})"
    most = f"{more} == {_OF_POOL} group_left () {by(POOL, more)}"
    return f"{most} and {_OF_POOL} ({_rising(sources, window_s)} unless {_OF_POOL} {OUT})"


def _rising(sources: Sources, window_s: float) -> str:
    over, twice = duration(window_s), duration(2 * window_s)
    checkouts = name(wire.CHECKOUTS)
    factor = f"{sources.tuning.growth_tolerance:g}"
    aging = f"delta({selector(own.OLDEST_CHECKOUT_AGE.name, over=over)})"
    # A rate would be too low in a window in which the process began: the slope is not.
    before = by(POOL, f"deriv({selector(checkouts, over=over, offset=twice)})")
    # The windows go on telling of a process that has ended: it holds nothing any more.
    still_there = f"{per_pool(wire.COUNT, USED_STATE)} > 0"
    return (
        f"{_floor(over)} > {_floor(over, over)}"
        f" and {_floor(over, over)} > {_floor(over, twice)}"
        f" and {rate(checkouts, over)} < {factor} * {before}"
        f" and {by(POOL, aging)} > {0.8 * window_s:g}"
        f" and {still_there}"
    )


def _floor(over: str, offset: str = "") -> str:
    used = selector(name(wire.COUNT), USED_STATE, over=over, offset=offset)
    return by(POOL, f"min_over_time({used})")
