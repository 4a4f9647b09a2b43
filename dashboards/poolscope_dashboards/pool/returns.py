"""Show whether the connections of one pool come back: traffic, leaks, churn, misuse."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.pool_leaks import LEAK
from poolscope_alerts.promql import (
    CALL_SITE,
    EVIDENCE,
    POOL,
    REASON,
    ROUTE,
    STATE,
    by,
    duration,
    name,
)
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.palette import AMBER, GREEN, PURPLE, RED, YELLOW
from poolscope_dashboards.kit.panel import Panel, Query, Unit, limits, painted, plain
from poolscope_dashboards.kit.selection import STEP, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.pool.selection import BY_PROCESS, NO_POOL, NO_TRAFFIC, THIS
from poolscope_exporter.core.checks.thresholds import ThresholdId

_KIND = "poolscope_kind"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on what comes back."""
    return (_leaks(), _traffic(sources), _floor(sources), _churn(), _broken(sources), _misuse())


def _leaks() -> Panel:
    # A leak's series begins at 1, with no 0 before: a rate or an increase would miss the first.
    leaked = summed(by(LEAK, THIS.app(name(wire.LEAKS))), _WHERE)
    recovered = summed(by(LEAK, THIS.app(name(wire.LEAKS_RECOVERED))), _WHERE)
    return table(
        "Which route and line leaks?",
        (
            Column("Route", label=ROUTE),
            Column("Line", label=CALL_SITE),
            Column("Evidence", label=EVIDENCE, width=170),
            Column("Leaked", f"{leaked} > 0", width=110, steps=limits(red=1)),
            Column("Came back", f"{recovered} and {leaked} > 0", width=110, steps=plain()),
        ),
        "Checkouts that leaked, apparently, since each process began: the route, the line that "
        "took the connection, and what is known of whoever took it (T4, C12). Give it back on "
        "every path: async with, a yield dependency, try/finally.",
        none="no leak was counted since the processes began",
        sort=Sort("Leaked"),
    )


_WHERE = (ROUTE, CALL_SITE, EVIDENCE)


def _traffic(sources: Sources) -> Panel:
    row = sources[ThresholdId.T3]
    return chart(
        "Do check-ins keep up with check-outs?",
        (
            Query(summed(THIS.rate(wire.CHECKOUTS)), "check-outs"),
            Query(summed(THIS.rate(wire.CHECKINS)), "check-ins"),
        ),
        "Connections that are handed out and given back, a second. Check-ins that stay behind for "
        f"{duration(row.for_s)} (T3) are a leak, or a busy morning: the floor beside tells which.",
        none=NO_TRAFFIC,
        unit=Unit.PER_SECOND,
        overrides=painted({"check-outs": AMBER, "check-ins": GREEN}),
    )


def _floor(sources: Sources) -> Panel:
    row = sources[ThresholdId.T3]
    over = duration(row.for_s)
    used = THIS.app(name(wire.COUNT), f'{STATE}="{wire.ConnectionState.USED}"', over)
    return chart(
        "Does the number of connections that are out only rise?",
        (Query(by(POOL, f"min_over_time({used})"), BY_PROCESS),),
        f"The least number of connections that each process had out, over {over}. Healthy pools "
        "come back to the same floor; stairs that only go up are a slow leak (T3, T4), whatever "
        f"the traffic. {row.advice}",
        none=NO_POOL,
    )


def _churn() -> Panel:
    closed = summed(THIS.rate(wire.CLOSED, per=(*POOL, REASON)), (REASON,))
    return chart(
        "Are connections reused?",
        (
            Query(summed(THIS.rate(wire.OPENED)), "opened"),
            Query(closed, f"closed: {{{{{REASON}}}}}"),
        ),
        "Connections opened, and those that left the pool with the reason, a second. Much "
        "overflow or recycled: pool_size is too small for the usual load, or pool_recycle too "
        "short. not_pooled: NullPool opens one for each checkout.",
        none=NO_POOL,
        unit=Unit.PER_SECOND,
        width=8,
    )


def _broken(sources: Sources) -> Panel:
    row = sources[ThresholdId.T8]
    broken = summed(THIS.increase(wire.INVALIDATED, per=(*POOL, REASON), over=STEP), (REASON,))
    refused = summed(THIS.increase(wire.CONNECT_ERRORS, per=(*POOL, _KIND), over=STEP), (_KIND,))
    return events(
        "Do connections break?",
        (
            Query(broken, f"invalidated: {{{{{REASON}}}}}"),
            Query(refused, f"not opened: {{{{{_KIND}}}}}"),
        ),
        "Connections that were found broken, and those that could not be opened. ping: pre-ping "
        f"met a stale one, and nobody noticed. error: the application met it (T8). {row.advice}",
        none=NO_POOL,
        width=8,
        overrides=painted({"invalidated: ping": YELLOW, "invalidated: error": RED}),
    )


def _misuse() -> Panel:
    counted = {
        "blocks the event loop (C10)": wire.BLOCKING_CHECKOUTS,
        "waits while holding one": wire.NESTED_CHECKOUTS,
        "shared by tasks (C11)": wire.SHARED_CONNECTIONS,
    }
    return events(
        "Is the pool used wrongly?",
        [Query(summed(THIS.increase(each, over=STEP)), word) for word, each in counted.items()],
        "Each of these should stay at 0. A synchronous pool on the event loop stops every request "
        "of the process; who holds a connection and waits for a second can wait for ever; a "
        "session that tasks share breaks at random.",
        none=NO_POOL,
        width=8,
        overrides=painted(dict(zip(counted, (PURPLE, RED, AMBER), strict=True))),
    )
