"""Show the leaks of one pool, its traffic, its churn and its misuse."""

from poolscope import catalogue as wire
from poolscope_alerts.conditions.leaks import LEAK
from poolscope_alerts.model import Sources
from poolscope_alerts.pool_usage import CAUGHT, ENDED, STALE
from poolscope_alerts.promql import (
    CALL_SITE,
    EVIDENCE,
    KIND,
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
from poolscope_dashboards.kit.ranking import TOP
from poolscope_dashboards.kit.selection import STEP, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.kit.variable import POOL_NAME
from poolscope_dashboards.pool.selection import (
    NO_POOL,
    NO_TRAFFIC,
    NOT_REPORTED,
    OF_POOL_OR_NONE,
    THIS,
    TOP_PROCESSES,
    each_process,
)
from poolscope_exporter.core.checks.thresholds import ThresholdId


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on leaks and returns."""
    return (
        _leaks(),
        _traffic(sources),
        _floor(sources),
        _churn(),
        _broken(sources),
        _misuse(),
        _session_errors(),
    )


def _leaks() -> Panel:
    # A leak's series begins at 1, with no 0 before: a rate or an increase would miss the first.
    leaked = summed(by(LEAK, THIS.app(name(wire.LEAKS))), _WHERE)
    recovered = summed(by(LEAK, THIS.app(name(wire.LEAKS_RECOVERED))), _WHERE)
    return table(
        "Leaks by route and line",
        (
            Column("Route", label=ROUTE),
            Column("Line", label=CALL_SITE),
            Column("Evidence", label=EVIDENCE, width=170),
            Column("Leaked", f"{leaked} > 0", width=110, steps=limits(red=1)),
            Column("Came back", f"{recovered} and {leaked} > 0", width=110, steps=plain()),
        ),
        "Checkouts that apparently leaked since each process started: the route, the line that "
        "took the connection, and the evidence (T4, C12). Return the connection on every path: "
        "async with, a yield dependency, try/finally.",
        none="no leak was counted since the processes started, or not reported",
        sort=Sort("Leaked"),
    )


_WHERE = (ROUTE, CALL_SITE, EVIDENCE)


def _traffic(sources: Sources) -> Panel:
    row = sources[ThresholdId.T3]
    return chart(
        "Check-outs and check-ins a second",
        (
            Query(summed(THIS.rate(wire.CHECKOUTS)), "check-outs"),
            Query(summed(THIS.rate(wire.CHECKINS)), "check-ins"),
        ),
        "Connections that are handed out and returned, a second. If check-ins stay behind for "
        f"{duration(row.for_s)} (T3), it is a leak or a rising load. The panel beside decides: "
        "with a leak, the lowest number in use only rises.",
        none=NO_TRAFFIC,
        unit=Unit.PER_SECOND,
        overrides=painted({"check-outs": AMBER, "check-ins": GREEN}),
    )


def _floor(sources: Sources) -> Panel:
    row = sources[ThresholdId.T3]
    over = duration(row.for_s)
    used = THIS.app(name(wire.COUNT), f'{STATE}="{wire.ConnectionState.USED}"', over)
    return chart(
        f"Lowest connections in use, top {TOP} processes",
        (each_process(by(POOL, f"min_over_time({used})")),),
        f"The lowest number of connections in use in each process, over {over}. Healthy pools "
        "return to the same minimum. A minimum that only rises is a slow leak (T3, T4), at any "
        f"traffic. {row.advice} {TOP_PROCESSES}",
        none=NO_POOL,
    )


def _churn() -> Panel:
    closed = summed(THIS.rate(wire.CLOSED, per=(*POOL, REASON)), (REASON,))
    return chart(
        "Connections opened and closed a second",
        (
            Query(summed(THIS.rate(wire.OPENED)), "opened"),
            Query(closed, f"closed: {{{{{REASON}}}}}"),
        ),
        "Connections opened a second, and connections that left the pool, by reason. If overflow "
        "is high, pool_size is too small for the usual load. If recycled is high, pool_recycle is "
        "too short. idle: unused for the pool's idle time-out. not_pooled: NullPool opens a "
        "connection for each checkout.",
        none=NOT_REPORTED,
        unit=Unit.PER_SECOND,
        width=8,
    )


def _broken(sources: Sources) -> Panel:
    row = sources[ThresholdId.T8]
    lost = summed(THIS.increase(wire.INVALIDATED, per=(*POOL, REASON), over=STEP), (REASON,))
    colours = {
        **dict.fromkeys(ENDED, RED),
        **dict.fromkeys(STALE, AMBER),
        **dict.fromkeys(CAUGHT, YELLOW),
    }
    return events(
        "Broken connections, by reason",
        (Query(lost, f"{{{{{REASON}}}}}"),),
        "Connections that the pool gave up, by reason. For ping and lost_while_idle, the pool "
        "found a stale connection, and no caller failed. For socket and idle_session_timeout, a "
        f"statement failed on a stale connection (T8). {row.advice} The reasons cancelled and "
        "requested are ordinary. For any other reason, a session ended while in use: see the "
        "runbook of PoolSessionsEnded.",
        none=NOT_REPORTED,
        width=8,
        overrides=painted({str(reason): colour for reason, colour in colours.items()}),
    )


def _misuse() -> Panel:
    counted = {
        "blocks the event loop (C10)": wire.BLOCKING_CHECKOUTS,
        "waits while holding one": wire.NESTED_CHECKOUTS,
        "shared (C11)": wire.SHARED_CONNECTIONS,
    }
    return events(
        "Misuse of the pool",
        [Query(summed(THIS.increase(each, over=STEP)), word) for word, each in counted.items()],
        "Each of these should stay at 0. A synchronous pool on the event loop stops every request "
        "of the process. A caller that holds a connection and waits for another can wait for ever. "
        "A session that tasks share fails at random.",
        none=NOT_REPORTED,
        width=8,
        overrides=painted(dict(zip(counted, (PURPLE, RED, AMBER), strict=True))),
    )


def _session_errors() -> Panel:
    # As for leaks: the series of a line begins at 1.
    counted = THIS.process_total(wire.SESSION_ERRORS, OF_POOL_OR_NONE, _ERRORS)
    return table(
        "ORM attributes that failed to load",
        (
            Column("Error", label=KIND, width=170),
            Column("Line", label=CALL_SITE),
            Column("Pool", label=POOL_NAME, width=170),
            Column("Errors", f"{counted} > 0", width=110, steps=limits(amber=1)),
        ),
        "Errors by line, since each process started. MissingGreenlet: a load without await on an "
        "AsyncSession. DetachedInstanceError: a load after the session was closed. Often a commit "
        "expired the object: set expire_on_commit=False, or load the attributes before. If the "
        "pool is unknown, its column is empty.",
        none="none was counted since the processes started, or not reported",
        sort=Sort("Errors"),
    )


_ERRORS = (KIND, CALL_SITE, POOL_NAME)
