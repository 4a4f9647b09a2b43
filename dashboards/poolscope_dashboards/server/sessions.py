"""Show the sessions of one server: their states, their owners, who would use it up, who waits."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, ROUTE, SERVICE, SERVICE_POOL, STATE, by
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.palette import AMBER, BLUE, GREY, LIGHT_BLUE, PURPLE, RED, YELLOW
from poolscope_dashboards.kit.panel import Panel, Query, Unit, limits, line_over, lines, painted
from poolscope_dashboards.kit.selection import per_server
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import POOL_NAME, SERVICE_NAME
from poolscope_dashboards.server.selection import (
    BUSY,
    BY_LINKS,
    EVERYBODY,
    FREE,
    HERE,
    LIMIT,
    NO_SERVER,
    NOBODY,
    SESSIONS,
    STATES,
    here,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_exporter.core.judging.verdicts import Verdict

_SERVICE = f"{{{{{SERVICE_NAME}}}}}"
_OPEN = EVERYBODY.gauge(wire.COUNT, labels=(*POOL, STATE))
_MAY_OPEN = EVERYBODY.gauge(wire.MAX)
_RESERVED = "limit less reserve"
_TO_POOL = (
    f"/d/poolscope-pool?var-service=${{__data.fields.{SERVICE_NAME}}}"
    f"&var-pool=${{__data.fields.{POOL_NAME}}}&var-datasource=${{datasource}}&${{__url_time_range}}"
)


def of_whom(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on how many sessions there are, and whose."""
    return (_states(sources), _owners(), _fleet(sources), _full_pools(sources))


def of_load(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on load and locks."""
    return (_cpu(sources), _blocked(), _headroom(), _orphans())


def _less_reserve(share: float) -> Query:
    return Query(f"{1 - share:g} * {LIMIT}", _RESERVED)


def _states(sources: Sources) -> Panel:
    share = sources[ThresholdId.T9].limit
    return chart(
        "What do the sessions do?",
        (Query(STATES, "{{state}}"), Query(LIMIT, "limit"), _less_reserve(share)),
        "Client sessions by state, below the limit and the limit less its reserve of "
        f"{share:.0%} (T9). Many idle: pools are larger than their use. Many idle in transaction: "
        "applications do something else in the middle of one. hidden: grant pg_read_all_stats.",
        none=NO_SERVER,
        is_stacked=True,
        overrides=(
            *painted(
                {
                    "active": BLUE,
                    "idle": LIGHT_BLUE,
                    "idle in transaction": YELLOW,
                    "idle in transaction (aborted)": AMBER,
                    "starting": PURPLE,
                    "other": "dark-blue",
                    "hidden": GREY,
                }
            ),
            line_over("limit", RED),
            line_over(_RESERVED, AMBER),
        ),
    )


def _owners() -> Panel:
    mine = f"({here(_OPEN)} or 0 * sum({SESSIONS}))"
    return chart(
        "Whose are they?",
        (
            Query(here(_OPEN, SERVICE), _SERVICE),
            Query(f"clamp_min(sum({SESSIONS}) - {mine}, 0)", "others"),
        ),
        "Open connections of the services whose pools lead to this server, and all other "
        "sessions: people, jobs, PgBouncers and other proxies, applications without poolscope. "
        f"{BY_LINKS}",
        none=NO_SERVER,
        is_stacked=True,
        overrides=painted({"others": GREY}),
    )


def _fleet(sources: Sources) -> Panel:
    share = sources[ThresholdId.C7].limit
    return chart(
        "What if every pool filled up?",
        (
            Query(here(_MAY_OPEN), "may open"),
            Query(here(_OPEN), "open"),
            Query(LIMIT, "limit"),
            _less_reserve(share),
        ),
        "Connections that the pools of all processes may open together, against what the server "
        f"admits less its reserve of {share:.0%} (C7). Above it the next peak is refused. Pools "
        "without a limit are not in it, and could open more; what a PgBouncer may open is on its "
        f"own panels. {BY_LINKS}",
        none=NOBODY,
        overrides=(
            *painted({"may open": PURPLE, "open": BLUE}),
            line_over("limit", RED),
            line_over(_RESERVED, AMBER),
        ),
    )


def _full_pools(sources: Sources) -> Panel:
    share = 1 - sources[ThresholdId.C7].limit
    may_open = here(_MAY_OPEN, SERVICE_POOL)
    of_limit = f"{may_open} / on () group_left () max({LIMIT})"
    return table(
        "Who would use it up?",
        (
            Column("Service", label=SERVICE_NAME, link=_TO_POOL),
            Column("Pool", label=POOL_NAME, link=_TO_POOL),
            Column("Processes", here(EVERYBODY.used(POOL), SERVICE_POOL, "count")),
            Column("Open", here(_OPEN, SERVICE_POOL)),
            Column("May open", may_open),
            Column("Of the limit", of_limit, unit=Unit.SHARE, steps=limits(share, 1)),
        ),
        "The pools that lead to this server without a PgBouncer, by what they may open in all "
        "their processes. The top of the list is where a smaller pool, or fewer processes, saves "
        f"most (C7, C8). A row opens the pool. {BY_LINKS}",
        none=NOBODY,
        sort=Sort("May open"),
        width=12,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )


def _cpu(sources: Sources) -> Panel:
    row = sources[ThresholdId.T7]
    return chart(
        "Are its CPUs busy?",
        (Query(BUSY, "CPUs busy"),),
        "Sessions that run a statement and wait for nothing, per CPU, on average over 5 minutes. "
        f"From {row.limit:.0%} on (T7) a larger pool makes every query slower. {row.advice}",
        none="not known: set --server-cpus; or sessions are hidden",
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
    )


def _blocked() -> Panel:
    such = EVERYBODY.judged(own.HELD_CHECKOUTS, f'verdict="{Verdict.BLOCKED}"')
    once = by((*POOL, "evidence", ROUTE), such)
    return chart(
        "Who waits for a lock?",
        (Query(here(once, (*SERVICE, ROUTE), of=HERE), f"{_SERVICE} {{{{{ROUTE}}}}}"),),
        "Held connections whose session waits for a lock, by service and route. Whose lock it is, "
        "with route and line of the holder where that is one of ours, the exporter's live page "
        "says. Those behind a PgBouncer are in it.",
        none="nobody is seen waiting, or no exporter judges",
        is_stacked=True,
    )


def _headroom() -> Panel:
    return chart(
        "How many more sessions does it admit?",
        (Query(FREE, "headroom"),),
        "What the tightest of the limits of server, roles and databases leaves. 0 means that "
        "connections are refused; a cliff downwards is a deployment, or a leak of connections.",
        none=NO_SERVER,
        overrides=painted({"headroom": BLUE}),
    )


def _orphans() -> Panel:
    orphans = per_server(own.ORPHAN_SESSIONS, HERE, SERVICE)
    return chart(
        "Which sessions outlived their process?",
        (Query(orphans, _SERVICE),),
        "Sessions of processes that are gone, which began no statement since. They take slots "
        "until the server notices: tcp_keepalives_idle on the server, or pg_terminate_backend.",
        none="not known: a sidecar does not tell, or sessions are hidden",
        overrides=(),
    )
