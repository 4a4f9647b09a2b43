"""Alert on pools that have, or will soon have, no connection left to give."""

from poolscope import catalogue as wire
from poolscope_alerts.model import NUMBER, PERCENT, PROCESS_WORDS, Alert, Component, Sources
from poolscope_alerts.promql import POOL, STATE, by, duration, increase, name, per_pool, selector
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId

_USED_BY = f'{STATE}="used"'
USED = per_pool(wire.COUNT, _USED_BY)
MAX = per_pool(wire.MAX)
_ONE_IS_ALWAYS_FULL = f"{MAX} > 1"


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on exhaustion, the worst first."""
    make = (_exhausted, _stuck, _full, _near, _predicted)
    return tuple(each(sources) for each in make)


def _full_expression(sources: Sources) -> str:
    share = sources[ThresholdId.T2].limit
    return f"{USED} >= {MAX}" if share == 1 else f"{USED} >= {share:g} * {MAX}"


def _somebody_waits(pace: float) -> str:
    gave_up = increase(name(wire.TIMEOUTS), duration(120 / pace))
    return f"({per_pool(wire.PENDING_REQUESTS)} > 0 or {gave_up} > 0)"


def _exhausted(sources: Sources) -> Alert:
    row = sources[ThresholdId.T2]
    return Alert(
        name="PoolExhausted",
        severity=row.severity,
        component=Component.POOL,
        about=POOL,
        expression=f"{_full_expression(sources)} and {_somebody_waits(sources.pace)}",
        limit="every connection is checked out, and somebody waits for one or has given up",
        summary="The pool has no connection left, and requests wait for one.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out and callers wait or time "
            f"out. {row.advice}"
        ),
        thresholds=(ThresholdId.T2,),
        for_s=row.for_s,
        keep_firing_s=sources.keep_silencing_s(),
    )


def _stuck(sources: Sources) -> Alert:
    window = duration(sources.tuning.stuck_s / sources.pace)
    return Alert(
        name="PoolStuck",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{_full_expression(sources)} and {_somebody_waits(sources.pace)}"
            f" and {increase(name(wire.CHECKINS), window)} == 0"
        ),
        limit=(
            "every connection is checked out, somebody waits, and none came back for "
            f"{duration(sources.tuning.stuck_s)}"
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
        expression=f"{_full_expression(sources)} and {_ONE_IS_ALWAYS_FULL}",
        limit="every connection of a pool of more than one is checked out",
        summary="Every connection of the pool is checked out.",
        description=(
            f"{PROCESS_WORDS}: all {NUMBER} connections are checked out; the next request will "
            f"wait. {sources[ThresholdId.T2].advice}"
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
        expression=f"{USED} / {MAX} >= {share:g} and {_ONE_IS_ALWAYS_FULL}",
        limit=f"{share:.0%} of the connections or more are checked out",
        summary="The pool is nearly exhausted.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the connections are checked out, for "
            f"{duration(sources.tuning.lasting_s)} now. The live page says who holds them."
        ),
        thresholds=(ThresholdId.T2,),
        for_s=sources.tuning.lasting_s,
        keep_firing_s=sources.keep_firing_s(),
    )


def _predicted(sources: Sources) -> Alert:
    tuning = sources.tuning
    ahead_s = tuning.prediction_s / sources.pace
    window = duration(ahead_s)
    used = selector(name(wire.COUNT), _USED_BY, over=window)
    predicted = by(POOL, f"predict_linear({used}, {ahead_s:g})")
    return Alert(
        name="PoolExhaustionPredicted",
        severity=Severity.WARNING,
        component=Component.POOL,
        about=POOL,
        expression=(
            f"{USED} / {MAX} >= {tuning.predicted_from_share:g} and {USED} < {MAX}"
            f" and {predicted} >= {MAX}"
            f" and {per_pool(wire.COUNT, _USED_BY, offset=window)} >= 0"
        ),
        limit=(
            f"{tuning.predicted_from_share:.0%} or more are checked out, and the trend of the last "
            f"{duration(tuning.prediction_s)} reaches the limit within another "
            f"{duration(tuning.prediction_s)}"
        ),
        summary="The pool will be exhausted soon if its use goes on growing.",
        description=(
            f"{PROCESS_WORDS}: {PERCENT} of the connections are checked out, and at the present "
            f"growth all of them will be within {duration(tuning.prediction_s)}."
        ),
        thresholds=(ThresholdId.T2,),
        for_s=tuning.lasting_s,
        keep_firing_s=sources.keep_firing_s(),
    )
