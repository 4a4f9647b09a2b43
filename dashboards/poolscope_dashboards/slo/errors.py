"""Show the failures that callers met: time-outs, and errors of connecting."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import KIND, POOL, SERVICE_POOL
from poolscope_dashboards.fleet.selection import BY_POOL, FLEET, NO_TRAFFIC, NOT_REPORTED
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.kit.selection import STEP, summed
from poolscope_exporter.core.checks.thresholds import ThresholdId


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on failures."""
    return _share(sources), _connect_errors()


def _share(sources: Sources) -> Panel:
    row = sources[ThresholdId.T6]
    return chart(
        f"Share of failed checkouts, top {TOP} pools",
        (Query(top(FLEET.failed_share(SERVICE_POOL), SERVICE_POOL), BY_POOL),),
        "Share of requests for a connection that timed out or met an error. If a server is down, "
        f"it rises and the burn of time-outs does not. The guides allow {row.limit:.1%} of "
        f"time-outs (T6). The {TOP} pools with the highest values.",
        none=NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
        roomy=2 * row.limit,
    )


def _connect_errors() -> Panel:
    grown = FLEET.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND), over=STEP)
    return events(
        "Failed connection attempts, by kind",
        (Query(summed(grown, (KIND,)), f"{{{{{KIND}}}}}"),),
        "Attempts to open a connection that failed, in all chosen services. The runbook of "
        "PoolConnectFailing has the next step for each kind.",
        none=NOT_REPORTED,
    )
