"""Show the sessions of one server: their states, their services, the demand, the waits."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, ROUTE, SERVICE, SERVICE_POOL, STATE, by
from poolscope_dashboards.kit.charts import chart
from poolscope_dashboards.kit.links import TO_POOL
from poolscope_dashboards.kit.palette import AMBER, BLUE, GREY, LIGHT_BLUE, PURPLE, RED, YELLOW
from poolscope_dashboards.kit.panel import (
    Panel,
    Query,
    Unit,
    limits,
    line_over,
    lines,
    painted,
    room,
)
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


def of_whom(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on the number of sessions, and their owners."""
    return (_states(sources), _owners(), _fleet(sources), _full_pools(sources), _room_for_pods())


def of_load(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on load and locks."""
    return (_cpu(sources), _blocked(), _headroom(), _orphans())


def _less_reserve(share: float) -> Query:
    return Query(f"{1 - share:g} * {LIMIT}", _RESERVED)


def _states(sources: Sources) -> Panel:
    share = sources[ThresholdId.T9].limit
    return chart(
        "Sessions by state",
        (Query(STATES, "{{state}}"), Query(LIMIT, "limit"), _less_reserve(share)),
        "Client sessions by state, below the limit and the limit less its reserve of "
        f"{share:.0%} (T9). Many idle: pools are larger than their use. Many idle in transaction: "
        "applications do other work inside a transaction. hidden: grant pg_read_all_stats.",
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
        "Sessions by service",
        (
            Query(here(_OPEN, SERVICE), _SERVICE),
            Query(f"clamp_min(sum({SESSIONS}) - {mine}, 0)", "others"),
        ),
        "Open connections of the services with pools that lead to this server. Others are all "
        "other sessions: people, jobs, PgBouncers and proxies, applications without poolscope. "
        f"{BY_LINKS}",
        none=NO_SERVER,
        is_stacked=True,
        overrides=painted({"others": GREY}),
    )


def _fleet(sources: Sources) -> Panel:
    share = sources[ThresholdId.C7].limit
    return chart(
        "Open and possible connections",
        (
            Query(here(_MAY_OPEN), "may open"),
            Query(here(_OPEN), "open"),
            Query(LIMIT, "limit"),
            _less_reserve(share),
        ),
        "Connections that the pools of all processes may open together, and the limit of the "
        f"server less its reserve of {share:.0%} (C7). Above it, the server refuses connections at "
        "the next peak. Pools without a limit are not included, and may open more. PgBouncers "
        f"have their separate panels. {BY_LINKS}",
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
        "Pools by maximum connections",
        (
            Column("Service", label=SERVICE_NAME, link=TO_POOL),
            Column("Pool", label=POOL_NAME, link=TO_POOL),
            Column("Processes", here(EVERYBODY.used(POOL), SERVICE_POOL, "count")),
            Column("Open", here(_OPEN, SERVICE_POOL)),
            Column("May open", may_open),
            Column("Of the limit", of_limit, unit=Unit.SHARE, steps=limits(share, 1)),
        ),
        "The pools that lead to this server without a PgBouncer, by the connections that they may "
        "open in all processes. Shrink the pools at the top first, or run fewer processes (C7, "
        f"C8). A row opens the pool. {BY_LINKS}",
        none=NOBODY,
        sort=Sort("May open"),
        width=12,
        hides=("service_namespace", "db_namespace", "server_address", "server_port"),
    )


def _room_for_pods() -> Panel:
    """Return the panel on the room for more pods."""
    return table(
        "Room for more pods",
        (
            Column("Service", label=SERVICE_NAME),
            Column("Per pod", per_server(own.POD_CONNECTIONS, HERE, SERVICE)),
            Column("More pods", per_server(own.ROOM_FOR_PODS, HERE, SERVICE), steps=room()),
        ),
        "How many more pods of a service fit into the headroom, if every pool grows to its limit "
        "(C7). It is the limit for an autoscaler. Each pod counts like the largest pod now. A "
        "dash: a pool has no limit, or the limit of the server is unknown.",
        none="unknown: a sidecar does not publish it, or no pool leads here",
        sort=Sort("More pods", is_descending=False),
        width=12,
        hides=("service_namespace",),
    )


def _cpu(sources: Sources) -> Panel:
    row = sources[ThresholdId.T7]
    return chart(
        "Busy CPUs over time",
        (Query(BUSY, "CPUs busy"),),
        "Sessions that run a statement and wait for nothing, per CPU. Mean of 5 minutes. "
        f"From {row.limit:.0%} on (T7) a larger pool makes every query slower. {row.advice}",
        none="unknown: set --server-cpus; or sessions are hidden",
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
    )


def _blocked() -> Panel:
    such = EVERYBODY.judged(own.HELD_CHECKOUTS, f'verdict="{Verdict.BLOCKED}"')
    once = by((*POOL, "evidence", ROUTE), such)
    return chart(
        "Connections that wait for a lock",
        (Query(here(once, (*SERVICE, ROUTE), of=HERE), f"{_SERVICE} {{{{{ROUTE}}}}}"),),
        "Held connections with a session that waits for a lock, by service and route. The "
        "exporter's live page shows the holder of the lock, with its route and line if a "
        "monitored application holds it. Connections through a PgBouncer are included.",
        none="no session waits, or the senders report no holders, or no exporter judges",
        is_stacked=True,
    )


def _headroom() -> Panel:
    return chart(
        "Headroom over time",
        (Query(FREE, "headroom"),),
        "The room that the tightest limit leaves: of the server, a role or a database. At 0, the "
        "server refuses connections. A sudden drop is a deployment, or a leak of connections.",
        none=NO_SERVER,
        overrides=painted({"headroom": BLUE}),
    )


def _orphans() -> Panel:
    orphans = per_server(own.ORPHAN_SESSIONS, HERE, SERVICE)
    return chart(
        "Sessions that outlived their process",
        (Query(orphans, _SERVICE),),
        "Sessions of processes that have ended, without a new statement since. They use slots "
        "until the server detects it. Set tcp_keepalives_idle on the server, or call "
        "pg_terminate_backend.",
        none="unknown: a sidecar does not publish it, or sessions are hidden",
        overrides=(),
    )
