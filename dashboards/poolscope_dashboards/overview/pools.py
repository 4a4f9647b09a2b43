"""Show every pool: its diagnosis, its numbers, and its history."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import SERVICE_POOL, by
from poolscope_dashboards.kit.charts import timeline
from poolscope_dashboards.kit.links import TO_POOL
from poolscope_dashboards.kit.palette import diagnosis_meanings, diagnosis_words
from poolscope_dashboards.kit.panel import Panel, Query, Unit, limits
from poolscope_dashboards.kit.ranking import TOP_BANDS, top
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import POOL_NAME, SERVICE_NAME
from poolscope_dashboards.overview.selection import ALL, BY_POOL, NO_POOLS
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_exporter.core.judging.verdicts import Verdict

_IDLE = f"{Verdict.IDLE_IN_TRANSACTION}|{Verdict.HELD_IDLE}|{Verdict.STALLED}"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the table of pools, and their history."""
    return _pools(sources), _history()


def _pools(sources: Sources) -> Panel:
    slow, full = sources[ThresholdId.T1].limit, sources[ThresholdId.T2].limit
    return table(
        "Pools, worst first",
        (*_identity(), *_load(sources), *_holders(), *_waits(sources)),
        "One row per pool of a service, the worst first; a row opens the pool. Fullest is the "
        f"largest share of connections in use in one process (T2: {full:.0%}). Idle counts "
        "connections that are held without use. Wait long is the share of callers that waited "
        f"longer than {slow:g} s (T1), or got no connection. A dash means unknown: not 0, and not "
        "healthy.",
        none=NO_POOLS,
        sort=Sort("Diagnosis"),
        height=9,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )


def _identity() -> tuple[Column, ...]:
    worst = ALL.diagnosis(SERVICE_POOL)
    return (
        Column("Diagnosis", worst, mappings=diagnosis_words(), width=120, is_painted=True),
        Column("Service", label=SERVICE_NAME, link=TO_POOL),
        Column("Pool", label=POOL_NAME, link=TO_POOL),
        Column("Meaning", worst, mappings=diagnosis_meanings(), width=260),
    )


def _load(sources: Sources) -> tuple[Column, ...]:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return (
        Column("Processes", by(SERVICE_POOL, ALL.gauge(wire.PENDING_REQUESTS), "count"), width=80),
        Column("Used", ALL.used(SERVICE_POOL), width=60),
        Column("Limit", ALL.total(wire.MAX, labels=SERVICE_POOL), width=60),
        Column(
            "Fullest",
            ALL.fullness(SERVICE_POOL),
            unit=Unit.SHARE,
            steps=limits(near, full),
            decimals=0,
            width=70,
        ),
        Column(
            "Waiting",
            ALL.total(wire.PENDING_REQUESTS, labels=SERVICE_POOL),
            steps=limits(amber=1),
            width=70,
        ),
        Column(
            "Time-outs",
            summed(ALL.increase(wire.TIMEOUTS), SERVICE_POOL),
            steps=limits(red=1),
            decimals=0,
        ),
    )


def _holders() -> tuple[Column, ...]:
    some, one = limits(amber=1), limits(red=1)
    return (
        Column("Leaked", ALL.held(Verdict.LEAKED, SERVICE_POOL), steps=one, width=70),
        Column("Blocked", ALL.held(Verdict.BLOCKED, SERVICE_POOL), steps=some, width=70),
        Column("Slow", ALL.held(Verdict.SLOW_QUERY, SERVICE_POOL), steps=some, width=60),
        Column("Idle", ALL.held(_IDLE, SERVICE_POOL), steps=some, width=60),
    )


def _waits(sources: Sources) -> tuple[Column, ...]:
    return (
        Column(
            "Wait long",
            ALL.slow_share(sources[ThresholdId.T1].limit, SERVICE_POOL),
            unit=Unit.SHARE,
            steps=limits(amber=sources.tuning.slow_share),
            decimals=0,
            width=85,
        ),
    )


def _history() -> Panel:
    return timeline(
        "Diagnosis of each pool over time",
        Query(top(ALL.diagnosis(SERVICE_POOL), SERVICE_POOL, TOP_BANDS), BY_POOL),
        "The worst diagnosis of any process of a pool, over time. Look for a change where a band "
        f"begins. No band: no exporter judged the pool then. The {TOP_BANDS} worst pools.",
        none="no data: no exporter judges a pool (see Exporter)",
    )
