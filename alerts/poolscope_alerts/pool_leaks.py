"""Alert on connections that nobody will return: by evidence, and by a floor that only rises."""

from poolscope import catalogue as wire
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
    increase,
    name,
    per_pool,
    rate,
    selector,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import Severity, ThresholdId

LEAK = (*POOL, EVIDENCE, ROUTE, CALL_SITE)
USED_STATE = f'{STATE}="used"'


def alerts(sources: Sources) -> tuple[Alert, ...]:
    """Return the alerts on leaks, the certain one first."""
    return _leaked(sources), _suspected(sources)


def _leaked(sources: Sources) -> Alert:
    return Alert(
        name="PoolLeak",
        severity=Severity.CRITICAL,
        component=Component.POOL,
        about=LEAK,
        expression=_leak_expression(duration(sources.tuning.event_window_s / sources.pace)),
        limit="a checkout leaked by evidence lately, or is still out, and was not returned since",
        summary="A connection leaks: nobody is left to return it.",
        description=(
            f"{PROCESS_WORDS}: {NUMBER} checkout(s) leaked, apparently, on route "
            f"{label(ROUTE)} at {label(CALL_SITE)} (evidence {label(EVIDENCE)}). "
            "Each one is missing from the pool until the process ends or the connection is "
            "collected. Open the live page for the line and the server session."
        ),
        thresholds=(ThresholdId.T4,),
        keep_firing_s=sources.keep_silencing_s(),
    )


def _leak_expression(window: str) -> str:
    """Return what is counted or held as leaked, less what came back.

    A leak's series begins at 1, with no 0 before it: `increase` alone misses the first. An hour of
    memory keeps old leaks from being told anew after an outage of the scraping.
    """
    leaks, recovered = name(wire.LEAKS), name(wire.LEAKS_RECOVERED)
    counted = by(LEAK, leaks)
    known = by(LEAK, f"last_over_time({selector(leaks, over='1h', offset=window)})")
    held = by((*POOL, "evidence", ROUTE), selector(own.HELD_CHECKOUTS.name, 'verdict="leaked"'))
    on = f"on ({', '.join((*POOL, ROUTE))})"
    return (
        f"({counted} > 0 and ({increase(leaks, window, labels=LEAK)} > 0"
        f" or ({counted} unless {known})"
        f" or ({counted} and {on} ({held} > 0))))"
        f" unless {by(LEAK, recovered)} >= {counted}"
        f" or {on} {_uncounted(held)}"
    )


def _uncounted(held: str) -> str:
    """Return held leaks in the labels of counted ones, where the counters went elsewhere."""
    renamed = f'label_replace({held} > 0, "{EVIDENCE}", "$1", "evidence", "(.*)")'
    return by((*POOL, EVIDENCE, ROUTE), renamed)


def _suspected(sources: Sources) -> Alert:
    row = sources[ThresholdId.T3]
    return Alert(
        name="PoolLeakSuspected",
        severity=sources[ThresholdId.T4].severity,
        component=Component.POOL,
        about=POOL,
        expression=_rising(sources, row.for_s / sources.pace),
        limit=(
            f"the least number of checked-out connections rose twice, {duration(row.for_s)} apart, "
            "without more traffic, while the oldest checkout only grew older"
        ),
        summary="The number of checked-out connections only rises.",
        description=(
            f"{PROCESS_WORDS}: at least {NUMBER} connections were out all the time, more than "
            f"{duration(row.for_s)} ago and more again than before that, without more traffic. "
            f"That is how a slow leak looks. {row.advice}"
        ),
        thresholds=(ThresholdId.T3, ThresholdId.T4),
        keep_firing_s=sources.keep_firing_s(),
    )


def _rising(sources: Sources, window_s: float) -> str:
    over, twice = duration(window_s), duration(2 * window_s)
    checkouts = name(wire.CHECKOUTS)
    factor = f"{sources.tuning.growth_tolerance:g}"
    aging = f"delta({selector(own.OLDEST_CHECKOUT_AGE.name, over=over)})"
    # The windows go on telling of a process that has ended: it holds nothing any more.
    still_there = f"{per_pool(wire.COUNT, USED_STATE)} > 0"
    return (
        f"{_floor(over)} > {_floor(over, over)}"
        f" and {_floor(over, over)} > {_floor(over, twice)}"
        f" and {rate(checkouts, over)} < {factor} * {rate(checkouts, over, offset=twice)}"
        f" and {by(POOL, aging)} > {0.8 * window_s:g}"
        f" and {still_there}"
    )


def _floor(over: str, offset: str = "") -> str:
    used = selector(name(wire.COUNT), USED_STATE, over=over, offset=offset)
    return by(POOL, f"min_over_time({used})")
