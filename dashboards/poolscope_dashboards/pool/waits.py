"""Show the waits of the callers of one pool: the queue, opening and pinging."""

from typing import Final

from poolscope import catalogue as wire
from poolscope.catalogue import Metric, Phase, ServingAge
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import KIND, PHASE, POOL, PROCESS, REASON, SERVING_AGE, by, name
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.palette import AMBER, BLUE, RED, YELLOW
from poolscope_dashboards.kit.panel import (
    Panel,
    Query,
    Step,
    Unit,
    line_over,
    lines,
    on_right_axis,
    painted,
)
from poolscope_dashboards.kit.ranking import TOP
from poolscope_dashboards.kit.selection import STEP, summed
from poolscope_dashboards.pool.selection import (
    NO_TRAFFIC,
    NOT_REPORTED,
    THIS,
    TOP_PROCESSES,
    each_process,
)
from poolscope_exporter.core.checks.thresholds import ThresholdId

P99 = 0.99

_PHASES: Final = {Phase.QUEUE: RED, Phase.CONNECT: YELLOW, Phase.PING: BLUE}
"""The phases that callers wait in, with the colours of the parts of a wait."""


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on waiting."""
    return (
        _wait(sources),
        _parts(),
        _by_phase(),
        _loop_lag(sources),
        _failed_attempts(),
        _queue(sources),
        _failures(),
        _share(sources),
        _opening(),
        _first_requests(),
        _ping(sources),
        _use(),
    )


def _times(
    title: str,
    metric: Metric,
    description: str,
    *,
    none: str,
    steps: tuple[Step, ...] = (),
) -> Panel:
    """Return mean, p95 and p99 of a histogram: the mean alone hides slow callers."""
    return chart(
        title,
        (
            Query(THIS.mean(metric), "mean"),
            Query(THIS.quantile(metric), "p95"),
            Query(THIS.quantile(metric, share=P99), "p99"),
        ),
        description,
        none=none,
        unit=Unit.SECONDS,
        steps=steps,
        overrides=painted({"mean": BLUE, "p95": AMBER, "p99": RED}),
        width=8,
    )


def _wait(sources: Sources) -> Panel:
    row = sources[ThresholdId.T1]
    longest = wire.WAIT_TIME.bounds[-1]
    return chart(
        "Time to get a connection",
        (
            Query(THIS.mean(wire.WAIT_TIME), "mean of served callers"),
            Query(THIS.wait_quantile(), "p95 of all callers"),
            Query(THIS.wait_quantile(share=P99), "p99 of all callers"),
        ),
        f"From the request for a connection to the checkout: queueing, opening and pinging. Above "
        f"{row.limit:g} s (T1) for {row.for_s:g} s, requests suffer. {row.advice} The panel beside "
        "shows the slow part. The percentiles include callers that timed out or failed: each "
        f"counts as {longest:g} s or more. The mean includes served callers alone.",
        none=NO_TRAFFIC,
        unit=Unit.SECONDS,
        steps=lines(amber=row.limit),
        overrides=painted(
            {
                "mean of served callers": BLUE,
                "p95 of all callers": AMBER,
                "p99 of all callers": RED,
            }
        ),
    )


def _parts() -> Panel:
    parts = {"queue": wire.QUEUE_TIME, "opening": wire.CREATE_TIME, "ping": wire.PING_TIME}
    return chart(
        "Parts of the wait",
        [Query(THIS.per_checkout(metric), name) for name, metric in parts.items()],
        "Mean seconds that each part adds to a checkout (T10). Much queue: the pool is exhausted. "
        "Much opening: the network, TLS or the server is slow, or connections are recycled too "
        "often. Much ping: the network is slow. Each part has its limit: pool_timeout for the "
        "queue (C3), connect_timeout for opening (C14).",
        none=NO_TRAFFIC,
        unit=Unit.SECONDS,
        is_stacked=True,
        overrides=painted({"queue": RED, "opening": YELLOW, "ping": BLUE}),
    )


def _by_phase() -> Panel:
    waiting = summed(THIS.gauge(wire.PENDING, labels=(*POOL, PHASE)), (PHASE,))
    oldest = by((PHASE,), THIS.app(name(wire.PENDING_AGE)))
    lines_of_age = {f"oldest: {phase}": colour for phase, colour in _PHASES.items()}
    return chart(
        "Callers by phase",
        (
            Query(waiting, f"{{{{{PHASE}}}}}"),
            Query(oldest, f"oldest: {{{{{PHASE}}}}}"),
        ),
        "Callers that wait for a place in the pool (queue), a new connection (connect), or its "
        "liveness check (ping). The dashed lines show how long the oldest caller has waited: right "
        "axis. Many in queue: see who holds connections. More than a second in connect or ping: "
        "the network or the server is slow, and a larger pool does not help.",
        none="no data: the sender does not report phases",
        is_stacked=True,
        overrides=(
            *painted({str(phase): colour for phase, colour in _PHASES.items()}),
            *(
                on_right_axis(line_over(field, colour), Unit.SECONDS)
                for field, colour in lines_of_age.items()
            ),
        ),
    )


def _loop_lag(sources: Sources) -> Panel:
    row = sources[ThresholdId.T1]
    return chart(
        f"Event loop lag, top {TOP} processes",
        (each_process(THIS.process_gauge(wire.EVENT_LOOP_LAG), PROCESS),),
        "How late a callback ran on the process's event loop, at most, since its last push. Above "
        f"{row.limit:g} s every caller waits, even if the pool has free connections. The diagnosis "
        f"loop_blocked names the line. See the runbook of PoolLoopBlocked. {TOP_PROCESSES}",
        none="no data: no event loop uses this pool, or the sender does not report it",
        unit=Unit.SECONDS,
        steps=lines(amber=row.limit),
    )


def _failed_attempts() -> Panel:
    failed = summed(THIS.increase(wire.CONNECT_ERRORS, per=(*POOL, KIND), over=STEP), (KIND,))
    return events(
        "Connection attempts that failed, by kind",
        (Query(failed, f"{{{{{KIND}}}}}"),),
        "Attempts to open a connection that failed. Check the network and the server for refused, "
        "unreachable, reset and timeout. Check the connection string for authentication, "
        "unknown_database and wrong_setting. If it is too_many_connections, see Headroom on "
        "Server. The runbook of PoolConnectFailing has the next step for each kind.",
        none=NOT_REPORTED,
    )


def _queue(sources: Sources) -> Panel:
    row = sources[ThresholdId.T5]
    return _times(
        "Time in the pool queue",
        wire.QUEUE_TIME,
        "Time that callers were blocked in the pool's queue, time-outs included. Callers that got "
        f"a connection at once are not included. From {row.limit:g} s on (T5): {row.advice}",
        none="no caller queued, or the sender does not report it",
        steps=lines(amber=row.limit),
    )


def _failures() -> Panel:
    failed = summed(
        THIS.increase(wire.CHECKOUT_FAILURES, per=(*POOL, REASON), over=STEP), (REASON,)
    )
    return events(
        "Requests without a connection, by reason",
        (Query(failed, f"{{{{{REASON}}}}}"),),
        "Requests for a connection that ended without one. If it is timeout, the pool was "
        "exhausted for longer than pool_timeout. If it is cancelled, the caller ended first, often "
        "because its client left. If it is error, the server refused the connection, or was "
        "unreachable.",
        none="no data: the sender does not report failures",
        overrides=painted({"timeout": RED, "cancelled": YELLOW, "error": AMBER}),
        width=8,
    )


def _share(sources: Sources) -> Panel:
    row, slow = sources[ThresholdId.T6], sources[ThresholdId.T1].limit
    return chart(
        "Share of checkouts that waited long or failed",
        (
            Query(THIS.timeout_share(), "time-outs"),
            Query(THIS.slow_share(slow), f"longer than {slow:g} s, or failed"),
        ),
        f"The share of callers that timed out, and of callers that waited longer than {slow:g} s "
        f"(T1) or got no connection. Time-outs above {row.limit:.1%} (T6): {row.advice}",
        none=NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
        overrides=painted({"time-outs": RED, f"longer than {slow:g} s, or failed": AMBER}),
        width=8,
        roomy=2 * row.limit,
    )


def _opening() -> Panel:
    return _times(
        "Time to open a connection",
        wire.CREATE_TIME,
        "From the start of connecting to a usable connection. If it is slow: DNS, network, TLS, "
        "authentication or a busy server. A larger pool does not cure it (T10).",
        none="no connection was opened, or the sender does not report it",
    )


def _first_requests() -> Panel:
    first, later = (f'{SERVING_AGE}="{age}"' for age in (ServingAge.FIRST_MINUTE, ServingAge.LATER))
    waits, checkouts = wire.REQUEST_CONNECT_WAITS, wire.REQUEST_CHECKOUTS
    # As of now, and no rate: a process may have counted its first requests before the first scrape.
    of_first = f"{THIS.total(waits, first)} / ({THIS.total(checkouts, first)} > 0)"
    rates = [summed(THIS.rate(metric, later)) for metric in (waits, checkouts)]
    of_later = f"{rates[0]} / ({rates[1]} > 0)"
    return chart(
        "First requests that open a connection",
        (
            Query(f"clamp_max({of_first}, 1)", "first minute"),
            Query(f"clamp_max({of_later}, 1)", "later"),
        ),
        "Share of the requests' checkouts that waited for a new connection. The first minute "
        "begins with the first request of each running process. If it is much more than later, "
        "open connections before the first request. asyncpg: min_size. psycopg_pool: min_size and "
        "pool.open(wait=True). SQLAlchemy: docs/fastapi.md has the code.",
        none="no data: no request took a connection, or the sender does not report it",
        unit=Unit.SHARE,
        overrides=painted({"first minute": YELLOW, "later": BLUE}),
        width=8,
    )


def _ping(sources: Sources) -> Panel:
    row = sources[ThresholdId.C5]
    return _times(
        "Time of the pre-ping",
        wire.PING_TIME,
        "Time of the liveness check before a checkout (pool_pre_ping). Typically less than "
        f"{row.limit * 1000:g} ms (C5). More is the distance to the server. Keep pre-ping on: it "
        "prevents failed statements.",
        none="no pings: pre-ping is off, or the sender does not report them",
        steps=lines(amber=row.limit),
    )


def _use() -> Panel:
    return _times(
        "Time that a connection is held",
        wire.USE_TIME,
        "From the checkout to the return of the connection. The pool serves connections ÷ mean "
        "hold time requests a second. If you halve the hold time, the pool serves twice as much. "
        "Connections that are still out are not included.",
        none="no connection was returned, or the sender does not report it",
    )
