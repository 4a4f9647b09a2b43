"""Show how close pools are to exhaustion, and how many callers wait or fail."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import SERVICE_POOL
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.overview.selection import ALL, BY_POOL, NOT_REPORTED
from poolscope_exporter.core.checks.thresholds import ThresholdId

_NO_TRAFFIC = "no data: no checkout was requested, or the senders do not report it"
_TOP = f"The {TOP} pools with the highest values."


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on exhaustion, waits and time-outs."""
    return _fullest(sources), _waiting(), _slow(sources), _timed_out(sources)


def _each_pool(expression: str) -> tuple[Query, ...]:
    return (Query(top(expression, SERVICE_POOL), BY_POOL),)


def _fullest(sources: Sources) -> Panel:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return chart(
        "Fullest process of each pool",
        _each_pool(ALL.fullness(SERVICE_POOL)),
        f"Connections in use, as a share of the pool's limit. From {near:.0%} on the "
        f"next burst may queue. At {full:.0%} (T2) the next caller waits: first look for "
        f"connections that are never returned, then enlarge the pool. {_TOP}",
        none=NOT_REPORTED,
        unit=Unit.SHARE,
        steps=lines(near, full),
    )


def _waiting() -> Panel:
    return chart(
        "Callers waiting, by pool",
        _each_pool(ALL.total(wire.PENDING_REQUESTS, labels=SERVICE_POOL)),
        "Callers that are blocked in the queue of each pool. It is the earliest sign of "
        f"exhaustion. Pools of libraries that do not report it are missing. {_TOP}",
        none=NOT_REPORTED,
    )


def _slow(sources: Sources) -> Panel:
    slow, many = sources[ThresholdId.T1].limit, sources.tuning.slow_share
    return chart(
        "Share of checkouts that waited long or failed",
        _each_pool(ALL.slow_share(slow, SERVICE_POOL)),
        f"Callers that waited longer than {slow:g} s for a connection (T1), or got none. From "
        f"{many:.0%} on PoolCheckoutSlow fires. The Pool dashboard splits the wait into "
        f"queueing, opening and pinging. {_TOP}",
        none=_NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=many),
        roomy=2 * many,
    )


def _timed_out(sources: Sources) -> Panel:
    lost = sources[ThresholdId.T6].limit
    return chart(
        "Share of checkouts that timed out",
        _each_pool(ALL.timeout_share(SERVICE_POOL)),
        f"Time-outs per requested checkout. The guides allow {lost:.1%} (T6). Above it, the "
        f"pool is exhausted, or pool_timeout is too short. {_TOP}",
        none=_NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=lost),
        roomy=2 * lost,
    )
