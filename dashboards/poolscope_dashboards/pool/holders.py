"""Show the holders of the connections of one pool: routes, verdicts, processes."""

from typing import Final

from poolscope import catalogue as wire
from poolscope_alerts.promql import POOL, ROUTE, by, name
from poolscope_alerts.promql import PROCESS as IDENTITY
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.links import TO_PROCESS
from poolscope_dashboards.kit.palette import VERDICTS, diagnosis_words, words
from poolscope_dashboards.kit.panel import Panel, Query, Unit, limits, plain
from poolscope_dashboards.kit.process_name import PROCESS_NAME, with_process_name
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import PROCESS
from poolscope_dashboards.pool.selection import NO_HOLDERS, THIS
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.prometheus_names import label_name

_ROUTE = f"{{{{{ROUTE}}}}}"
_POD: Final = label_name(wire.K8S_POD_NAME)
_NO_ROUTES = "no data: no connection was returned, or the sender does not report routes"


def panels() -> tuple[Panel, ...]:
    """Return the panels on holders."""
    return (_held_now(), _by_route(), _per_checkout(), _idle(), _pinned(), _processes())


def _held_now() -> Panel:
    once = by((*POOL, "verdict", "evidence", ROUTE), THIS.judged(own.HELD_CHECKOUTS))
    colours = {str(verdict): (str(verdict), colour) for verdict, colour in VERDICTS.items()}
    return table(
        "Held connections now",
        (
            Column(
                "Verdict",
                label="verdict",
                mappings=(words(colours),),
                width=170,
                is_painted=True,
            ),
            Column("Evidence", label="evidence", width=170),
            Column("Route", label=ROUTE),
            Column(
                "Connections",
                summed(once, ("verdict", "evidence", ROUTE)),
                width=120,
                steps=plain(),
            ),
        ),
        "Connections that are out for a second or longer, by the state of their server session, by "
        "evidence of a leak, and by route. The exporter's live page and /api/v1/checkouts show the "
        "line, the session and the blocker of each.",
        none=f"{NO_HOLDERS}, or no exporter judges",
        sort=Sort("Connections"),
        width=12,
    )


def _by_route() -> Panel:
    return chart(
        "Connections held, by route",
        (Query(THIS.routes(name(wire.ROUTE_HELD_TIME), (ROUTE,)), _ROUTE),),
        "Mean number of connections that each route held, in all processes. A shorter hold saves "
        "most on the highest route. A checkout counts when it ends, so leaked connections are not "
        "included.",
        none=_NO_ROUTES,
        is_stacked=True,
    )


def _per_checkout() -> Panel:
    held = THIS.routes(name(wire.ROUTE_HELD_TIME), (ROUTE,))
    taken = THIS.routes(name(wire.ROUTE_CHECKOUTS), (ROUTE,))
    return chart(
        "Mean hold time, by route",
        (Query(f"{held} / ({taken} > 0)", _ROUTE),),
        "Mean time from the checkout to the return of the connection, by route. A high route may "
        "call another service, or sleep, while it holds a connection. Take the connection later, "
        "and return it earlier.",
        none=_NO_ROUTES,
        unit=Unit.SECONDS,
    )


def _idle() -> Panel:
    return chart(
        "Connections held without use, by route",
        (Query(THIS.routes(own.HELD_IDLE_TIME.name, (ROUTE,), is_own=True), _ROUTE),),
        "Mean number of connections that were held for long while their server session was idle. "
        "If your code returns them earlier, the same pool serves more callers.",
        none="none was seen, or the sender lists no holders, or no exporter judges",
        is_stacked=True,
    )


def _pinned() -> Panel:
    inside, seen = (
        THIS.routes(metric.name, (ROUTE,), is_own=True)
        for metric in (own.HELD_IN_TRANSACTION_TIME, own.HELD_SEEN_TIME)
    )
    return chart(
        "Share of hold time in a transaction",
        (Query(f"{inside} / ({seen} > 0)", _ROUTE),),
        "The share of long hold time with an open transaction, by route, as polls of PostgreSQL "
        "showed. Near 100 %: the transaction keeps the connection, also in PgBouncer. Commit "
        "before slow work. Near 0 %: the session stays open without a transaction. Close it "
        "earlier.",
        none="none was seen, or the sender lists no holders, or no exporter judges",
        unit=Unit.SHARE,
    )


def _processes() -> Panel:
    return table(
        "Processes of this pool",
        (
            Column(
                "Diagnosis",
                THIS.diagnosis((PROCESS,)),
                mappings=diagnosis_words(),
                width=120,
                is_painted=True,
            ),
            Column("Process", label=PROCESS_NAME, link=TO_PROCESS),
            Column("Pod", label=_POD),
            Column("Used", THIS.used((PROCESS,))),
            Column("Limit", THIS.total(wire.MAX, labels=(PROCESS,))),
            Column(
                "Waiting",
                THIS.total(wire.PENDING_REQUESTS, labels=(PROCESS,)),
                steps=limits(amber=1),
            ),
            Column("Last push", _last_push(), unit=Unit.SECONDS, decimals=0),
            Column("Instance id", label=PROCESS, width=110),
        ),
        "The processes of the service by host and pid, the worst first. A row opens the process. "
        "Last push is the time since its last push: each process pushes every few seconds.",
        none="no data: no process publishes this pool",
        sort=Sort("Diagnosis"),
    )


def _last_push() -> str:
    """Return the time since the last push, with the names of process and pod."""
    age = by(IDENTITY, THIS.judged_process(own.INSTANCE_LAST_PUSH_AGE))
    pods = by((*IDENTITY, _POD), THIS.judged_process(own.INSTANCE_INFO))
    of_pod = f"{age} * on ({', '.join(IDENTITY)}) group_right () {pods}"
    return by((PROCESS, PROCESS_NAME, _POD), with_process_name(of_pod, THIS))
