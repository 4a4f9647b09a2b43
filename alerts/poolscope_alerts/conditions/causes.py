"""Causes that the exporter has established: each has an alert, which pages instead of the symptom.

A pool that no exporter diagnoses has no cause: then the symptom pages.
"""

from typing import Final

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.conditions.connecting import cannot_connect
from poolscope_alerts.conditions.leaks import fill_pools
from poolscope_alerts.conditions.pressure import HURT, MAX, USED, exhausted, gave_up
from poolscope_alerts.model import Record, Sources
from poolscope_alerts.promql import (
    LOOK_S,
    PHASE,
    POOL,
    SERVICE_POOL,
    by,
    duration,
    on,
    per_pool,
    selector,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict

CAUSES: Final = (
    Diagnosis.LOOP_BLOCKED,
    Diagnosis.SERVER_FULL,
    Diagnosis.CONNECTING,
    Diagnosis.SHARED_ACROSS_FORK,
    Diagnosis.DEADLOCKED,
    Diagnosis.BLOCKED,
    Diagnosis.SLOW_QUERIES,
)
"""Diagnoses with an alert that pages as soon as callers are hurt, whatever else is known.

Three more have conditions: HELD_IDLE needs an open transaction, LEAKING a loss of half of the pool,
and CONNECT_FAILING the counters that PoolConnectFailing reads.
"""

PAGED: Final = "pool:poolscope_paged:any"
"""The recorded pools that a critical alert pages: lesser alerts on them are left out."""

WITHOUT_CAUSE: Final = "pool:poolscope_exhausted_without_cause:connections"
"""The recorded pools that are exhausted for no established cause."""

UNLESS_PAGED: Final = f"unless {on(POOL)} {PAGED}"

_BRIDGE_S = 60.0
"""A cause stays established while the diagnosis changes for a moment."""

ESTABLISHED_IN_S = 30.0
"""Two scrapes: a cause needs evidence, which arrives after the first caller waits."""


def diagnosed(*diagnoses: Diagnosis, over: str = "") -> str:
    """Return the pools with one of the diagnoses, now or within a time."""
    series = selector(own.POOL_DIAGNOSIS.name, f'diagnosis=~"{"|".join(diagnoses)}"', over=over)
    return f"{by(POOL, f'max_over_time({series})' if over else series)} == 1"


def hurting(diagnosis: Diagnosis) -> str:
    """Return the pools with a cause that hurts callers."""
    return f"{diagnosed(diagnosis)} and {HURT}"


def held(*verdicts: Verdict) -> str:
    """Return how many connections of each pool have one of the verdicts; two exporters count once.

    Routes and evidence are added up: the next holder is often another route.
    """
    each = (*POOL, "verdict", "evidence", own.HTTP_ROUTE)
    series = selector(own.HELD_CHECKOUTS.name, f'verdict=~"{"|".join(verdicts)}"')
    return f"{by(POOL, by(each, series), 'sum')} > 0"


def unless_paged(sources: Sources, window_s: float) -> str:
    """Return the exclusion of what a window counted, if a page was sent for the pool within it.

    The steps back end up to a step ago, so that a page that is younger is excluded by itself.
    """
    over, step = duration(window_s), duration(2 * LOOK_S / sources.pace)
    return f"unless {on(POOL)} (count_over_time({PAGED}[{over}:{step}]) or {PAGED})"


def _has_cause(sources: Sources) -> str:
    """Return the pools that another critical alert describes better than their exhaustion."""
    over = duration(_BRIDGE_S / sources.pace)
    idle = f"{diagnosed(Diagnosis.HELD_IDLE, over=over)} and {in_transaction(sources)}"
    lost = fill_pools(sources)
    return f"({diagnosed(*CAUSES, over=over)} or {deadlocked(sources)} or {idle} or {lost})"


def deadlocked(sources: Sources) -> str:
    """Return the pools with all connections held by callers that wait for another one."""
    waiting = per_pool(wire.PENDING_AGE, f'{PHASE}="{Phase.QUEUE}"')
    held_by_waiters = per_pool(wire.HELD_BY_WAITERS)
    return (
        f"{held_by_waiters} > 0 and {held_by_waiters} >= {USED} and {USED} >= {MAX}"
        f" and {waiting} > {sources.tuning.deadlocked_s:g}"
    )


def in_transaction(sources: Sources) -> str:
    """Return how many connections were idle in a transaction, at most, within a minute."""
    over, step = duration(_BRIDGE_S / sources.pace), duration(ESTABLISHED_IN_S / 2 / sources.pace)
    return f"max_over_time(({held(Verdict.IDLE_IN_TRANSACTION)})[{over}:{step}])"


def without_cause(sources: Sources) -> Record:
    """Return the recording of exhausted pools without an established cause, by connections in use.

    If the exporter found the pool healthy a moment ago, its cause may follow within two scrapes.
    Whatever the exporter reports, the pool counts if it was exhausted before that already.
    """
    recent = duration(ESTABLISHED_IN_S / sources.pace)
    still = exhausted(sources, offset=recent)
    begins = f"({diagnosed(Diagnosis.HEALTHY, over=recent)} unless {still})"
    return Record(
        WITHOUT_CAUSE,
        f"{exhausted(sources)} unless {on(POOL)} ({_has_cause(sources)} or {begins})"
        f" unless {on(SERVICE_POOL)} ({cannot_connect(sources)})",
        POOL,
    )


def paging_pools(sources: Sources) -> Record:
    """Return the recording of the pools that an alert on exhaustion or on its cause pages."""
    caused = f"{diagnosed(*CAUSES, Diagnosis.HELD_IDLE)} and {gave_up(sources)}"
    return Record(PAGED, f"{exhausted(sources)} or {caused}", POOL)
