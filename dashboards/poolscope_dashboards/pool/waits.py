"""Show what the callers of one pool wait for: the queue, opening, pinging, told apart."""

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, REASON
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.palette import AMBER, BLUE, RED, YELLOW
from poolscope_dashboards.kit.panel import Panel, Query, Step, Unit, lines, painted
from poolscope_dashboards.kit.selection import STEP, summed
from poolscope_dashboards.pool.selection import NO_TRAFFIC, THIS
from poolscope_exporter.core.checks.thresholds import ThresholdId

P99 = 0.99


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on waiting."""
    return (
        _wait(sources),
        _parts(),
        _queue(sources),
        _failures(),
        _share(sources),
        _opening(),
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
    width: int = 8,
) -> Panel:
    """Return mean, p95 and p99 of a histogram: the mean hides what the quantiles show."""
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
        width=width,
    )


def _wait(sources: Sources) -> Panel:
    row = sources[ThresholdId.T1]
    return _times(
        "How long do those wait who get a connection?",
        wire.WAIT_TIME,
        f"From asking to getting: queueing, opening and pinging together. Above {row.limit:g} s "
        f"(T1) for {row.for_s:g} s requests suffer. {row.advice} The panel beside says which part "
        "it is. Those who got none are not in it: see who waits long, or in vain.",
        none=NO_TRAFFIC,
        steps=lines(amber=row.limit),
        width=12,
    )


def _parts() -> Panel:
    parts = {"queue": wire.QUEUE_TIME, "opening": wire.CREATE_TIME, "ping": wire.PING_TIME}
    return chart(
        "What is the wait made of?",
        [Query(THIS.per_checkout(metric), name) for name, metric in parts.items()],
        "Mean seconds that each part adds to a checkout (T10). Much queue: the pool is exhausted. "
        "Much opening: the network, TLS or the server is slow, or connections are recycled too "
        "often. Much ping: the network. Their cures are different.",
        none=NO_TRAFFIC,
        unit=Unit.SECONDS,
        is_stacked=True,
        overrides=painted({"queue": RED, "opening": YELLOW, "ping": BLUE}),
    )


def _queue(sources: Sources) -> Panel:
    row = sources[ThresholdId.T5]
    return _times(
        "How long do those queue who must?",
        wire.QUEUE_TIME,
        "Time that callers were blocked in the pool's queue, time-outs included; who got a "
        f"connection at once is not in it. From {row.limit:g} s on (T5): {row.advice}",
        none="nobody queued, or the library does not tell",
        steps=lines(amber=row.limit),
    )


def _failures() -> Panel:
    failed = summed(
        THIS.increase(wire.CHECKOUT_FAILURES, per=(*POOL, REASON), over=STEP), (REASON,)
    )
    return events(
        "Who got no connection?",
        (Query(failed, f"{{{{{REASON}}}}}"),),
        "Requests for a connection that ended without one. timeout: the pool was "
        "exhausted for longer than pool_timeout. cancelled: the caller went away first. error: "
        "the server refused, or could not be reached.",
        none="no data: the application does not count failures",
        overrides=painted({"timeout": RED, "cancelled": YELLOW, "error": AMBER}),
        width=8,
    )


def _share(sources: Sources) -> Panel:
    row, slow = sources[ThresholdId.T6], sources[ThresholdId.T1].limit
    return chart(
        "Which share of those who ask waits long, or in vain?",
        (
            Query(THIS.timeout_share(), "time-outs"),
            Query(THIS.slow_share(slow), f"longer than {slow:g} s, or in vain"),
        ),
        f"Of all callers, those that timed out, and those that waited longer than {slow:g} s (T1) "
        f"or got no connection. Time-outs above {row.limit:.1%} (T6): {row.advice}",
        none=NO_TRAFFIC,
        unit=Unit.SHARE,
        steps=lines(amber=row.limit),
        overrides=painted({"time-outs": RED, f"longer than {slow:g} s, or in vain": AMBER}),
        width=8,
        roomy=2 * row.limit,
    )


def _opening() -> Panel:
    return _times(
        "How long does opening a connection take?",
        wire.CREATE_TIME,
        "From dialling the server to a usable connection. Slow: DNS, network, TLS, authentication "
        "or a busy server; a larger pool does not cure it (T10). Nothing where none was opened.",
        none="no connection was opened",
    )


def _ping(sources: Sources) -> Panel:
    row = sources[ThresholdId.C5]
    return _times(
        "What does pre-ping cost?",
        wire.PING_TIME,
        "Time of the liveness check before a checkout (pool_pre_ping). Typically less than "
        f"{row.limit * 1000:g} ms (C5); more is the distance to the server. It is cheap insurance.",
        none="no pings: pre-ping is off, or nobody asked for a connection",
        steps=lines(amber=row.limit),
    )


def _use() -> Panel:
    return _times(
        "For how long is a connection held?",
        wire.USE_TIME,
        "From getting a connection to giving it back. The pool serves (connections ÷ this) "
        "requests a second: halving it doubles the pool. What is still out is not in it.",
        none="no connection was given back",
    )
