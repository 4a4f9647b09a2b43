"""Show the waits of a fleet, its fullest pools and its servers."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import SERVICE
from poolscope_dashboards.fleet.changes import started
from poolscope_dashboards.fleet.selection import (
    BY_SERVICE,
    FLEET,
    NO_TRAFFIC,
    NO_VERDICT,
    NOT_REPORTED,
    OF_CLUSTER,
    TOP_SERVICES,
)
from poolscope_dashboards.kit.charts import chart, events, timeline
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.ranking import TOP, TOP_BANDS, top
from poolscope_dashboards.kit.selection import per_server, summed
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import ThresholdId

_SERVER = ("server",)


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on waits and load."""
    return (
        _history(),
        _wait(sources),
        _waiting(),
        _fullest(sources),
        _servers(sources),
        _started(),
    )


def _history() -> Panel:
    return timeline(
        f"Worst diagnosis over time, top {TOP_BANDS} services",
        Query(top(FLEET.diagnosis(SERVICE), SERVICE, TOP_BANDS), BY_SERVICE),
        "The worst diagnosis of any process of a service, over time. Look for a deploy or a "
        f"restart where a band begins. The {TOP_BANDS} worst services.",
        none=NO_VERDICT,
        height=9,
    )


def _wait(sources: Sources) -> Panel:
    row, longest = sources[ThresholdId.T1], wire.WAIT_TIME.bounds[-1]
    return chart(
        f"p95 time to get a connection, top {TOP}",
        (Query(top(FLEET.wait_quantile(SERVICE), SERVICE), BY_SERVICE),),
        f"95 % of the callers waited less than this. Above {row.limit:g} s (T1), requests suffer. "
        "Callers that timed out or failed are included: each counts as "
        f"{longest:g} s or more. {TOP_SERVICES}",
        none=NO_TRAFFIC,
        unit=Unit.SECONDS,
        steps=lines(amber=row.limit),
    )


def _waiting() -> Panel:
    return chart(
        f"Callers waiting, top {TOP} services",
        (Query(top(FLEET.total(wire.PENDING_REQUESTS, labels=SERVICE), SERVICE), BY_SERVICE),),
        f"Callers that are blocked in the queues of the service's pools. {TOP_SERVICES}",
        none=NOT_REPORTED,
    )


def _fullest(sources: Sources) -> Panel:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return chart(
        f"Fullest process, top {TOP} services",
        (Query(top(FLEET.fullness(SERVICE), SERVICE), BY_SERVICE),),
        "Connections in use, as a share of the pool's limit, of the fullest process of each "
        f"service. At {full:.0%} (T2) its next caller waits. {TOP_SERVICES}",
        none=NOT_REPORTED,
        unit=Unit.SHARE,
        steps=lines(near, full),
    )


def _servers(sources: Sources) -> Panel:
    share = 1 - sources[ThresholdId.T9].limit
    states = per_server(own.SERVER_CONNECTIONS, OF_CLUSTER, ("server", "state"))
    limit = per_server(own.SERVER_CONNECTIONS_LIMIT, f'{OF_CLUSTER}, scope="server"')
    return chart(
        f"Sessions used, top {TOP} servers",
        (Query(top(f"{summed(states, _SERVER)} / {limit}", _SERVER), "{{server}}"),),
        "Open sessions, as a share of the number that each server admits to applications. From "
        f"{share:.0%} on, they use up the reserve (T9). The {TOP} servers with the highest values.",
        none="no data: no exporter polls a server (see Exporter)",
        unit=Unit.SHARE,
        steps=lines(share, 1),
    )


def _started() -> Panel:
    return events(
        f"New processes, top {TOP} services",
        (Query(top(started(), SERVICE), BY_SERVICE),),
        "Processes that started in the last minute, of services that ran before: a deploy, a "
        f"restart or a larger deployment. {TOP_SERVICES}",
        none="no process started, or no exporter is scraped",
    )
