"""Show the failures of a fleet over time: by service, by reason, by kind."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import KIND, POOL, REASON, SERVICE
from poolscope_dashboards.fleet.selection import (
    BY_SERVICE,
    FLEET,
    NO_FAILURES,
    NO_TRAFFIC,
    NOT_REPORTED,
    TOP_SERVICES,
)
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.palette import AMBER, RED
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines, painted
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.kit.selection import HURT, STEP, summed
from poolscope_exporter.core.checks.thresholds import ThresholdId


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on failures."""
    return _rate(), _share(sources), _reasons(), _kinds()


def _rate() -> Panel:
    failed = summed(FLEET.failures(HURT), SERVICE)
    return chart(
        f"Failed checkouts a second, top {TOP} services",
        (Query(top(failed, SERVICE), BY_SERVICE),),
        f"Requests for a connection that timed out or met an error, by service. {TOP_SERVICES}",
        none=NO_FAILURES,
        unit=Unit.PER_SECOND,
    )


def _share(sources: Sources) -> Panel:
    row = sources[ThresholdId.T6]
    return chart(
        f"Share of failed checkouts, top {TOP} services",
        (Query(top(FLEET.failed_share(SERVICE), SERVICE), BY_SERVICE),),
        f"Share of requests for a connection that timed out or met an error. The guides allow "
        f"{row.limit:.1%} of time-outs (T6). {TOP_SERVICES}",
        none=NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
        roomy=2 * row.limit,
    )


def _reasons() -> Panel:
    grown = FLEET.increase(wire.CHECKOUT_FAILURES, HURT, per=(*POOL, REASON), over=STEP)
    return events(
        "Failed checkouts, by reason",
        (Query(summed(grown, (REASON,)), f"{{{{{REASON}}}}}"),),
        "Failed checkouts of all chosen services. If it is timeout, pools are exhausted. If it is "
        "error, a server refuses connections, or is unreachable.",
        none=NO_FAILURES,
        overrides=painted({"timeout": RED, "error": AMBER}),
    )


def _kinds() -> Panel:
    grown = FLEET.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND), over=STEP)
    return events(
        "Failed connection attempts, by kind",
        (Query(summed(grown, (KIND,)), f"{{{{{KIND}}}}}"),),
        "Attempts to open a connection that failed, in all chosen services. The runbook of "
        "PoolConnectFailing has the next step for each kind.",
        none=NOT_REPORTED,
    )
