"""Alert on pools that have, or will soon have, no connection left to give."""

from poolscope import catalogue as wire
from poolscope_alerts.conditions.causes import (
    ESTABLISHED_IN_S,
    UNLESS_PAGED,
    WITHOUT_CAUSE,
    deadlocked,
    hurting,
    without_cause,
)
from poolscope_alerts.conditions.pressure import MAX, USED, USED_BY, full
from poolscope_alerts.model import (
    NEXT_STEP,
    NUMBER,
    PERCENT,
    PROCESS_WORDS,
    Alert,
    Component,
    Record,
    Sources,
)
from poolscope_alerts.promql import (
    POOL,
    by,
    duration,
    increase,
    name,
    per_pool,
    selector,
)
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId
from poolscope_exporter.core.judging.diagnosis import Diagnosis

_ONE_IS_ALWAYS_FULL = f"{MAX} > 1"


def records(sources: Sources) -> tuple[Record, ...]:
    """Return what two of the alerts read."""
    return (without_cause(sources),)


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on exhaustion, the worst first."""
    make = (_exhausted, _deadlocked, _stuck, _full, _near, _predicted)
    return tuple(each(sources) for each in make)


def _exhausted(sources: Sources) -> Alert:
    row = sources[ThresholdId.T2]
    return Alert(
        name="PoolExhausted",
        severity=row.severity,
        component=Component.POOL,
        about=POOL,
        expression=WITHOUT_CAUSE,
        limit=(
            "every connection is checked out, and a caller has waited for "
            f"{sources[ThresholdId.T1].limit:g} s or has given up. No alert on a cause pages: the "
            "exporter has had two scrapes to establish one"
        ),
        summary="The pool has no connection left, and requests wait for one.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out and callers wait or time "
            f"out. {NEXT_STEP}"
        ),
        thresholds=(ThresholdId.T2,),
        for_s=row.for_s,
        keep_firing_s=sources.keep_silencing_s(),
        within_s=ESTABLISHED_IN_S,
    )


def _deadlocked(sources: Sources) -> Alert:
    lasting_s = sources.tuning.deadlocked_s
    return Alert(
        name="PoolDeadlocked",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=(f"{deadlocked(sources)} or {USED} and ({hurting(Diagnosis.DEADLOCKED)})"),
        limit=(
            "every connection is held by a caller that waits for another one of the same pool, "
            f"for more than {lasting_s:g} s. Or the exporter reports this, and callers are hurt"
        ),
        summary="The pool is in a deadlock: every holder waits for another connection of it.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are held by callers that wait for another "
            "one. None of them can go on before the pool's time-out. Use one connection per "
            "request: pass it on instead of asking again."
        ),
        keep_firing_s=sources.keep_firing_s(),
    )


def _stuck(sources: Sources) -> Alert:
    window = duration(sources.tuning.stuck_s / sources.pace)
    return Alert(
        name="PoolStuck",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=f"{WITHOUT_CAUSE} and {increase(name(wire.CHECKINS), window)} == 0",
        limit=(
            "every connection is checked out, a caller waits, and none came back for "
            f"{duration(sources.tuning.stuck_s)}. No alert on a cause pages"
        ),
        summary="The pool is full and no connection comes back.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out, callers wait, and not one "
            f"was returned in {duration(sources.tuning.stuck_s)}. It will not recover by itself."
        ),
        thresholds=(ThresholdId.T2, ThresholdId.T4),
        for_s=60,
        keep_firing_s=sources.keep_silencing_s(),
    )


def _full(sources: Sources) -> Alert:
    return Alert(
        name="PoolFull",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=f"{full(sources)} and {_ONE_IS_ALWAYS_FULL} {UNLESS_PAGED}",
        limit="every connection of a pool of more than one is checked out",
        summary="Every connection of the pool is checked out.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out; the next request will "
            f"wait. {NEXT_STEP}"
        ),
        thresholds=(ThresholdId.T2,),
        for_s=60,
        keep_firing_s=sources.keep_firing_s(),
    )


def _near(sources: Sources) -> Alert:
    share = sources.tuning.near_exhaustion_share
    return Alert(
        name="PoolNearExhaustion",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(f"{USED} / {MAX} >= {share:g} and {_ONE_IS_ALWAYS_FULL} {UNLESS_PAGED}"),
        limit=f"{share:.0%} or more of the connections are checked out",
        summary="The pool is nearly exhausted.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the connections have been checked out "
            f"for {duration(sources.tuning.lasting_s)}. The live page shows the holders."
        ),
        thresholds=(ThresholdId.T2,),
        for_s=sources.tuning.lasting_s,
        keep_firing_s=sources.keep_firing_s(),
    )


def _predicted(sources: Sources) -> Alert:
    tuning = sources.tuning
    return Alert(
        name="PoolExhaustionPredicted",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{USED} / {MAX} >= {tuning.predicted_from_share:g} and {USED} < {MAX}"
            f" and ({_grows(sources)} or {_grows_from_start(sources)}) {UNLESS_PAGED}"
        ),
        limit=(
            f"{tuning.predicted_from_share:.0%} or more are checked out, and the trend reaches the "
            f"limit within {duration(tuning.prediction_s)}. The trend is that of the last "
            f"{duration(tuning.prediction_s)}, or for a younger pool that of its least number in "
            f"{duration(tuning.lasting_s)}"
        ),
        summary="The pool will be exhausted soon if its use keeps growing.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the connections are checked out, and at this growth "
            f"rate all of them will be within {duration(tuning.prediction_s)}."
        ),
        thresholds=(ThresholdId.T2,),
        for_s=tuning.lasting_s,
        keep_firing_s=sources.keep_firing_s(),
    )


def _grows(sources: Sources) -> str:
    """Return the pools with a trend that reaches their limit within the prediction."""
    ahead_s = sources.tuning.prediction_s / sources.pace
    window = duration(ahead_s)
    used = selector(name(wire.COUNT), USED_BY, over=window)
    predicted = by(POOL, f"predict_linear({used}, {ahead_s:g})")
    return f"{predicted} >= {MAX} and {per_pool(wire.COUNT, USED_BY, offset=window)} >= 0"


def _grows_from_start(sources: Sources) -> str:
    """Return younger pools with a least use that grows to the limit; no burst raises the least use.

    The first minutes of a process are left out: every pool fills then.
    """
    tuning, pace = sources.tuning, sources.pace
    window, ahead = duration(tuning.lasting_s / pace), duration(tuning.prediction_s / pace)
    begun = duration((2 * tuning.lasting_s + tuning.settling_s) / pace)
    least = by(POOL, f"min_over_time({selector(name(wire.COUNT), USED_BY, over=window)})")
    earlier = selector(name(wire.COUNT), USED_BY, over=window, offset=window)
    grown = f"({least} - {by(POOL, f'min_over_time({earlier})')})"
    times = tuning.prediction_s / tuning.lasting_s
    return (
        f"({least} + {times:g} * {grown} >= {MAX}"
        f" and {per_pool(wire.COUNT, USED_BY, offset=begun)} >= 0"
        f" unless {per_pool(wire.COUNT, USED_BY, offset=ahead)} >= 0)"
    )
