"""Alert on time-outs of the pool as a budget that burns, over several windows at once."""

from dataclasses import dataclass

from poolscope import catalogue as wire
from poolscope_alerts.model import PERCENT, POOL_WORDS, Alert, Component, Record, Sources
from poolscope_alerts.promql import (
    SERVICE_POOL,
    by,
    duration,
    increase,
    name,
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


def records(sources: Sources) -> tuple[Record, ...]:
    """Return the ratio of time-outs over every window, per pool of a service."""
    windows = sorted({each for burn in BURNS for each in (burn.long_s, burn.short_s)})
    return tuple(Record(_ratio_name(each), _ratio(each, sources.pace)) for each in windows)


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the same alert four times, by how fast the budget burns."""
    return tuple(_burns(sources, burn) for burn in BURNS)


def _burns(sources: Sources, burn: Burn) -> Alert:
    row, least = sources[ThresholdId.T6], sources.tuning.timeouts_least
    limit = f"{burn.factor * row.limit:g}"
    counted = increase(name(wire.TIMEOUTS), duration(burn.long_s / sources.pace))
    return Alert(
        name="PoolTimeoutBudgetBurn",
        severity=burn.severity,
        component=Component.POOL,
        about=SERVICE_POOL,
        expression=(
            f"{_ratio_name(burn.long_s)} >= {limit} and {_ratio_name(burn.short_s)} >= {limit}"
            f" and {by(SERVICE_POOL, counted, 'sum')} >= {least:g}"
        ),
        limit=(
            f"time-outs per checkout asked for reach {burn.factor:g} times {row.limit:.1%} over "
            f"{duration(burn.long_s)} and over {duration(burn.short_s)}, at least {least:g} of them"
        ),
        summary="Too many requests time out waiting for a connection.",
        description=(
            f"{POOL_WORDS}: {PERCENT} of those who asked for a connection in the last "
            f"{duration(burn.long_s)} timed out; {row.limit:.1%} are acceptable. {row.advice}"
        ),
        thresholds=(ThresholdId.T6,),
        for_s=burn.for_s,
        labels={"long": duration(burn.long_s), "short": duration(burn.short_s)},
    )


def _ratio_name(window_s: float) -> str:
    return f"service_pool:{name(wire.TIMEOUTS)}:ratio_rate{duration(window_s)}"


def _ratio(window_s: float, pace: float) -> str:
    over = duration(window_s / pace)
    asked = f"({_summed(rate(name(wire.CHECKOUTS), over))} + {_summed(rate_of_failures(over))})"
    return f"{_summed(rate(name(wire.TIMEOUTS), over))} / ({asked} > 0)"


def _summed(per_process: str) -> str:
    return by(SERVICE_POOL, per_process, "sum")
