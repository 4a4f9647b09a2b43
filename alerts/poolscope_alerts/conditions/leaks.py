"""Record what leaks hold: for each line with evidence, and for the whole pool."""

from poolscope import catalogue as wire
from poolscope.catalogue import Evidence
from poolscope_alerts.model import Record, Sources
from poolscope_alerts.promql import (
    CALL_SITE,
    EVIDENCE,
    POOL,
    ROUTE,
    STATE,
    Labels,
    by,
    duration,
    name,
    per_pool,
    selector,
)
from poolscope_exporter.core import own_metrics as own

LINE: Labels = (*POOL, ROUTE, CALL_SITE)
LEAK: Labels = (*LINE, EVIDENCE)

OUT = "leak:poolscope_leaks:out"
"""Connections that leaked and are still out, by line and evidence."""

LOST = "line:poolscope_leaks:lost"
"""The same by line, without the lines with leaks that mostly come back."""

LOST_OF_POOL = "pool:poolscope_leaks:lost"
EVIDENCE_OF = "line:poolscope_leaks:evidence"
"""Always 1; names one evidence of each line, so that a line has one alert."""

COLLECTED = f'{EVIDENCE}="{Evidence.GARBAGE_COLLECTED}"'
_HELD_BACK = f'{EVIDENCE}!="{Evidence.GARBAGE_COLLECTED}"'
_MOSTLY = 0.5
"""More of a line's leaks than this share come back: its connections are handed over, not lost."""

_LEAKS = name(wire.LEAKS)
_OF_POOL = f"on ({', '.join(POOL)})"
_OF_LINE = f"on ({', '.join(LINE)})"
_OF_ROUTE = f"on ({', '.join((*POOL, ROUTE))})"


def leak_records() -> tuple[Record, ...]:
    """Return the recording rules, each before the rules that read it."""
    return (
        Record(OUT, _out(), LEAK),
        Record(LOST, f"{by(LINE, OUT, 'sum')} unless {_comes_back()}", LINE),
        Record(LOST_OF_POOL, by(POOL, LOST, "sum"), POOL),
        Record(EVIDENCE_OF, _one_evidence(), LEAK),
    )


def fill_pools(sources: Sources) -> str:
    """Return the pools that have mostly lost connections: PoolLeak pages for them."""
    return f"{LOST_OF_POOL} >= {sources.tuning.leak_share:g} * {per_pool(wire.MAX)}"


def pools_lost(sources: Sources) -> str:
    """Return the pools that leaks fill, or will soon fill at the measured rate.

    The measurement begins with the first leak of the window: one leak has no rate.
    """
    tuning, limit = sources.tuning, per_pool(wire.MAX)
    least = f"min_over_time({LOST_OF_POOL}[{duration(tuning.leak_rate_s / sources.pace)}])"
    grown = f"({LOST_OF_POOL} - {least})"
    ahead = tuning.leak_ahead_s / tuning.leak_rate_s
    return (
        f"{fill_pools(sources)} or {grown} > 0 and {LOST_OF_POOL} + {ahead:g} * {grown} >= {limit}"
    )


def _out() -> str:
    """Return what leaked and is out: neither returned, nor refuted or not confirmed yet.

    A leaked connection counts as used. So nothing is out of a process that has ended. Its
    counters stay for some minutes.
    """
    counted = by(LEAK, selector(_LEAKS, _HELD_BACK))
    back, unproven = by(LEAK, name(wire.LEAKS_RECOVERED)), by(LEAK, own.UNPROVEN_LEAKS.name)
    nothing = f"0 * {counted}"
    used = per_pool(wire.COUNT, f'{STATE}="used"')
    return (
        f"({counted} - ({back} or {nothing}) - ({unproven} or {nothing}) > 0"
        f" or {_collected_for_ever()} > 0 or {_OF_ROUTE} {_uncounted()})"
        f" and {_OF_POOL} {used} > 0"
    )


def _collected_for_ever() -> str:
    """Return the pool's lost places, shared out among the lines with collected connections.

    SQLAlchemy takes a collected connection back; other pools lose its place.
    """
    counted = by(LEAK, selector(_LEAKS, COLLECTED))
    share = f"{per_pool(wire.LOST_PLACES)} / {_OF_POOL} {by(POOL, counted, 'sum')}"
    return f"{counted} * {_OF_POOL} group_left () ({share})"


def _uncounted() -> str:
    """Return held leaks, if the counters went to another backend."""
    return f"({_held()} unless {_OF_ROUTE} {_LEAKS} > 0)"


def _held(kind: str = "", how: str = "max") -> str:
    """Return held leaks in the labels of counted ones; all of them without a kind of evidence."""
    matchers = 'verdict="leaked"' + (f', evidence="{kind}"' if kind else "")
    held = selector(own.HELD_CHECKOUTS.name, matchers)
    renamed = f'label_replace({held} > 0, "{EVIDENCE}", "$1", "evidence", "(.*)")'
    return by((*POOL, EVIDENCE, ROUTE), renamed, how)


def _comes_back() -> str:
    """Return the lines with leaks that mostly come back."""
    back, counted = (
        by(LINE, by(LEAK, name(each)), "sum") for each in (wire.LEAKS_RECOVERED, wire.LEAKS)
    )
    return f"{back} > {_MOSTLY:g} * {counted}"


def _one_evidence() -> str:
    """Return one evidence of each line: the first in the order of the catalogue."""
    matchers = (f'{EVIDENCE}="{kind}"' for kind in Evidence)
    counted = (by(LEAK, f"{selector(_LEAKS, each)} > 0", "group") for each in matchers)
    uncounted = (_held(kind, "group") for kind in Evidence)
    return f" or {_OF_LINE} ".join((*counted, *uncounted))
