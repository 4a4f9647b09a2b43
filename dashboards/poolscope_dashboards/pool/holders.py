"""Show who holds the connections of one pool: routes, verdicts, processes."""

from poolscope import catalogue as wire
from poolscope_alerts.promql import POOL, ROUTE, by, name
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.palette import VERDICTS, diagnosis_words, words
from poolscope_dashboards.kit.panel import Panel, Query, Unit, limits, plain
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import PROCESS
from poolscope_dashboards.pool.selection import THIS
from poolscope_exporter.core import own_metrics as own

_ROUTE = f"{{{{{ROUTE}}}}}"
_HOST, _POD = own.INSTANCE_INFO.labels[3:]
_NO_ROUTES = "no data: no connection was given back, or the application names no routes"
_TO_PROCESS = (
    f"/d/poolscope-pool?var-process=${{__data.fields.{PROCESS}}}"
    "&var-service=${service}&var-pool=${pool}&var-datasource=${datasource}&${__url_time_range}"
)


def panels() -> tuple[Panel, ...]:
    """Return the panels on who holds connections."""
    return (_held_now(), _by_route(), _per_checkout(), _idle(), _processes())


def _held_now() -> Panel:
    once = by((*POOL, "verdict", "evidence", ROUTE), THIS.judged(own.HELD_CHECKOUTS))
    colours = {str(verdict): (str(verdict), colour) for verdict, colour in VERDICTS.items()}
    return table(
        "Who holds connections now?",
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
        "Connections that are out for a second or longer, by what their server session does, by "
        "evidence of a leak, and by route. Line, session and blocker of each are on the exporter's "
        "live page and in /api/v1/checkouts: they would be too many series.",
        none="no connection is held for a second, or no exporter judges",
        sort=Sort("Connections"),
        width=12,
    )


def _by_route() -> Panel:
    return chart(
        "Which route holds most?",
        (Query(THIS.routes(name(wire.ROUTE_HELD_TIME), (ROUTE,)), _ROUTE),),
        "Connections that each route held, on average, of all processes: the time held, divided "
        "by the time that passed. The highest is where a shorter hold saves most. Counted when "
        "they come back: what is leaked is not in it.",
        none=_NO_ROUTES,
        is_stacked=True,
    )


def _per_checkout() -> Panel:
    held = THIS.routes(name(wire.ROUTE_HELD_TIME), (ROUTE,))
    taken = THIS.routes(name(wire.ROUTE_CHECKOUTS), (ROUTE,))
    return chart(
        "How long does each route hold a connection?",
        (Query(f"{held} / ({taken} > 0)", _ROUTE),),
        "Mean time from getting a connection to giving it back, by route. A route that calls "
        "another service, or sleeps, while it holds one stands out: take the connection later, "
        "give it back earlier.",
        none=_NO_ROUTES,
        unit=Unit.SECONDS,
    )


def _idle() -> Panel:
    return chart(
        "Which route holds connections without using them?",
        (Query(THIS.routes(own.HELD_IDLE_TIME.name, (ROUTE,), is_own=True), _ROUTE),),
        "Connections, on average, that were held for long while their server session did nothing: "
        "the part of the pool that could be had back without a larger one.",
        none="none was seen, or no exporter judges",
        is_stacked=True,
    )


def _processes() -> Panel:
    return table(
        "Which processes have this pool?",
        (
            Column(
                "Diagnosis",
                THIS.diagnosis((PROCESS,)),
                mappings=diagnosis_words(),
                width=120,
                is_painted=True,
            ),
            Column("Process", label=PROCESS, link=_TO_PROCESS),
            Column("Host", label=_HOST),
            Column("Pod", label=_POD),
            Column("Used", THIS.used((PROCESS,))),
            Column("Limit", THIS.total(wire.MAX, labels=(PROCESS,))),
            Column(
                "Waiting",
                THIS.total(wire.PENDING_REQUESTS, labels=(PROCESS,)),
                steps=limits(amber=1),
            ),
            Column("Last heard", _heard(), unit=Unit.SECONDS, decimals=0),
        ),
        "The processes of the service, the worst first; a click shows one alone. Last heard is the "
        "time since its last push: it pushes every few seconds.",
        none="no data: no process publishes this pool",
        sort=Sort("Diagnosis"),
    )


def _heard() -> str:
    """Return the time since the last push, with the names of host and pod."""
    age = by((PROCESS,), THIS.judged_process(own.INSTANCE_LAST_PUSH_AGE))
    named = by((PROCESS, _HOST, _POD), THIS.judged_process(own.INSTANCE_INFO))
    return f"{age} * on ({PROCESS}) group_right () {named}"
