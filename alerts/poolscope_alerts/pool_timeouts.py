"""Alert on time-outs of the pool as a budget that burns, over several windows at once."""

from dataclasses import dataclass

from poolscope import catalogue as wire
from poolscope_alerts.conditions.causes import PAGED
from poolscope_alerts.model import PERCENT, POOL_WORDS, Alert, Component, Record, Sources
from poolscope_alerts.promql import (
    SERVICE_POOL,
    by,
    duration,
    increase,
    name,
    on,
    rate,
    rate_of_failures,
)
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a month's budget burns, over a long window and, so that it ends soon, a short one.

    The four are those of the SRE workbook: 2 %, 5 %, 10 % and 10 % of the budget.
    """

    severity: Severity
    long_s: float
    short_s: float
    factor: float
    for_s: float


BURNS = (
    Burn(Severity.CRITICAL, 3_600, 300, 14.4, 120),
    Burn(Severity.CRITICAL, 21_600, 1_800, 6, 900),
    Burn(Severity.WARNING, 86_400, 7_200, 3, 3_600),
    Burn(Severity.WARNING, 259_200, 21_600, 1, 10_800),
)


INFORMED = Burn(Severity.INFO, 3_600, 1_800, 1, 120)
"""Time-outs at the acceptable ratio: a slow burn, which the budget's alerts report after hours."""

_STEP_S = 30.0
_MOST_STEPS = 30
"""Looks back in a window: a longer window is looked at less often."""


def records(sources: Sources) -> tuple[Record, ...]:
    """Return the ratio of time-outs over every window, per pool of a service."""
    windows = sorted({each for burn in (*BURNS, INFORMED) for each in (burn.long_s, burn.short_s)})
    return tuple(Record(ratio_name(each), _ratio(each, sources.pace)) for each in windows)


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the same alert for each window, by how fast the budget burns; information last."""
    return tuple(_burns(sources, burn) for burn in (*BURNS, INFORMED))


def _burns(sources: Sources, burn: Burn) -> Alert:
    row, least = sources[ThresholdId.T6], sources.tuning.timeouts_least
    counted = increase(name(wire.TIMEOUTS), duration(burn.long_s / sources.pace))
    burning = f"{_at_limit(burn, sources)} and {by(SERVICE_POOL, counted, 'sum')} >= {least:g}"
    return Alert(
        name="PoolTimeoutBudgetBurn",
        severity=burn.severity,
        component=Component.POOL,
        about=SERVICE_POOL,
        expression=f"{burning} {_unless_paged(sources, burn)}",
        limit=(
            f"time-outs per requested checkout reach {burn.factor:g} times {row.limit:.1%} over "
            f"{duration(burn.long_s)} and over {duration(burn.short_s)}, at least {least:g} of "
            f"them. No other alert paged for them within {duration(burn.short_s)}"
        ),
        summary="Too many requests time out waiting for a connection.",
        description=(
            f"{POOL_WORDS}: {PERCENT} of the callers that asked for a connection in the last "
            f"{duration(burn.long_s)} timed out; {row.limit:.1%} are acceptable. {row.advice}"
        ),
        thresholds=(ThresholdId.T6,),
        for_s=burn.for_s,
        labels={"long": duration(burn.long_s), "short": duration(burn.short_s)},
    )


def _burning(burn: Burn, limit: float) -> str:
    long, short = ratio_name(burn.long_s), ratio_name(burn.short_s)
    return f"{long} >= {burn.factor * limit:g} and {short} >= {burn.factor * limit:g}"


def _unless_paged(sources: Sources, burn: Burn) -> str:
    """Return the exclusion of a burn that was paged already, by its cause or as a faster burn.

    The short window ends last. While it contains the time of the other page, it is the same burn.
    """
    looks = _looks(burn.short_s, sources)
    reported = [by(SERVICE_POOL, PAGED), *(_at_limit(each, sources) for each in _faster(burn))]
    excluded = [f"count_over_time(({each}){looks})" for each in reported]
    if burn is INFORMED:
        excluded += [_warned(each, sources) for each in BURNS if each.severity is Severity.WARNING]
    return " ".join(f"unless {on(SERVICE_POOL)} {each}" for each in excluded)


def _faster(burn: Burn) -> tuple[Burn, ...]:
    """Return the faster burns; for information, those that page."""
    if burn is INFORMED:
        return tuple(each for each in BURNS if each.severity is Severity.CRITICAL)
    return BURNS[: BURNS.index(burn)]


def _warned(burn: Burn, sources: Sources) -> str:
    """Return the pools of which a burn warns by now: the information is there until it does."""
    lasting = f"count_over_time(({_at_limit(burn, sources)}){_looks(burn.for_s, sources)})"
    return f"({lasting} >= {int(burn.for_s / _step_s(burn.for_s))})"


def _at_limit(burn: Burn, sources: Sources) -> str:
    return _burning(burn, sources[ThresholdId.T6].limit)


def _looks(window_s: float, sources: Sources) -> str:
    """Return the range of the looks at a window."""
    over, step = (duration(each / sources.pace) for each in (window_s, _step_s(window_s)))
    return f"[{over}:{step}]"


def _step_s(window_s: float) -> float:
    return max(_STEP_S, window_s / _MOST_STEPS)


def ratio_name(window_s: float) -> str:
    """Return the name of the recorded share of time-outs over a window."""
    return f"service_pool:{name(wire.TIMEOUTS)}:ratio_rate{duration(window_s)}"


def _ratio(window_s: float, pace: float) -> str:
    over = duration(window_s / pace)
    asked = f"({_summed(rate(name(wire.CHECKOUTS), over))} + {_summed(rate_of_failures(over))})"
    return f"{_summed(rate(name(wire.TIMEOUTS), over))} / ({asked} > 0)"


def _summed(per_process: str) -> str:
    return by(SERVICE_POOL, per_process, "sum")
