"""Conditions of a pool under pressure: every connection is out, and callers wait or give up."""

from typing import Final

from poolscope import catalogue as wire
from poolscope_alerts.model import Record, Sources
from poolscope_alerts.promql import POOL, STATE, duration, increase, name, per_pool
from poolscope_exporter.core.checks.thresholds import ThresholdId

USED_BY = f'{STATE}="used"'
USED = per_pool(wire.COUNT, USED_BY)
MAX = per_pool(wire.MAX)

HURT: Final = "pool:poolscope_hurt_callers:any"
"""The recorded pools with callers that wait too long for a full pool, or gave up lately."""

_GAVE_UP_WINDOW_S = 120.0


def full(sources: Sources, offset: str = "") -> str:
    """Return that every connection is checked out; the value is their number."""
    share = sources[ThresholdId.T2].limit
    used, limit = per_pool(wire.COUNT, USED_BY, offset), per_pool(wire.MAX, offset=offset)
    return f"{used} >= {limit}" if share == 1 else f"{used} >= {share:g} * {limit}"


def waits(sources: Sources, offset: str = "") -> str:
    """Return that a caller has waited longer than is acceptable (T1).

    A burst waits for milliseconds, and one push that reports it must not page. Where the sender
    gives no age, as in the conventions, a caller that waits is enough.
    """
    calm = f"{per_pool(wire.PENDING_AGE, offset=offset)} < {sources[ThresholdId.T1].limit:g}"
    return f"({per_pool(wire.PENDING_REQUESTS, offset=offset)} > 0 unless {calm})"


def gave_up(sources: Sources, offset: str = "") -> str:
    """Return that callers have given up lately."""
    over = duration(_GAVE_UP_WINDOW_S / sources.pace)
    return f"{increase(name(wire.TIMEOUTS), over, offset=offset)} > 0"


def exhausted(sources: Sources, offset: str = "") -> str:
    """Return that the pool is full while callers wait too long or give up."""
    lacking = f"({waits(sources, offset)} or {gave_up(sources, offset)})"
    return f"({full(sources, offset)} and {lacking})"


def hurt_pools(sources: Sources) -> Record:
    """Return the recording of the pools with callers that wait too long, or gave up."""
    return Record(HURT, f"{full(sources)} and {waits(sources)} or {gave_up(sources)}", POOL)
