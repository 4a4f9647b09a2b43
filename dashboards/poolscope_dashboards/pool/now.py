"""Show the present state of one pool: its diagnosis and its connections."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, STATE, by
from poolscope_dashboards.kit.charts import chart, stat, timeline
from poolscope_dashboards.kit.palette import (
    AMBER,
    BLUE,
    LIGHT_BLUE,
    PURPLE,
    RED,
    VERDICTS,
    YELLOW,
    diagnosis_words,
)
from poolscope_dashboards.kit.panel import (
    Panel,
    Query,
    Unit,
    limits,
    line_over,
    lines,
    now,
    on_right_axis,
    painted,
)
from poolscope_dashboards.kit.ranking import TOP, TOP_BANDS
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.pool.selection import (
    NO_HOLDERS,
    NO_POOL,
    NO_VERDICT,
    THIS,
    TOP_PROCESSES,
    each_process,
)
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.thresholds import ThresholdId
from poolscope_exporter.core.judging.verdicts import Verdict


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the first screen."""
    return (*_numbers(sources), _history(), _where(), _why(), _fullness(sources), _oldest())


def _numbers(sources: Sources) -> tuple[Panel, ...]:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return (
        stat(
            "Diagnosis",
            now(THIS.diagnosis(POOL[:2])),
            "The state of the pool in one word: the worst of the chosen processes. The last row "
            "explains the words. The exporter's live page shows the reason, with the numbers.",
            none="no data",
            width=6,
            mappings=diagnosis_words(),
        ),
        stat(
            "Fullest process",
            now(THIS.fullness(())),
            f"The largest share of connections in use in one process. At {full:.0%} (T2) the next "
            f"caller of that process waits. From {near:.0%} on, a burst may queue.",
            none="no limit, or no data",
            width=3,
            unit=Unit.SHARE,
            steps=limits(near, full),
        ),
        stat(
            "Used now",
            now(THIS.used()),
            "Connections that are out now, in all chosen processes together.",
            none="no data",
            width=3,
        ),
        stat(
            "Waiting now",
            now(THIS.total(wire.PENDING_REQUESTS)),
            "Callers that are blocked now because no connection is free. Above 0: Diagnosis shows "
            "whether the pool leaks, or every connection works.",
            none="no data",
            width=3,
            steps=limits(amber=1),
        ),
        stat(
            "Leaked now",
            now(f"sum({THIS.held(Verdict.LEAKED, POOL)})"),
            "Connections that are out although the work that took them has ended (T4). The table "
            "Leaks by route and line has the code. A restart of the process returns them.",
            none="no data",
            width=3,
            steps=limits(red=1),
        ),
        stat(
            "Time-outs in range",
            now(summed(THIS.increase(wire.TIMEOUTS))),
            "Callers that stopped waiting for a connection, in the time range of the dashboard "
            "(T6).",
            none="no data",
            width=3,
            is_count=True,
            steps=limits(red=1),
        ),
        stat(
            "Oldest checkout",
            now(by((), THIS.judged(own.OLDEST_CHECKOUT_AGE))),
            "Age of the connection that is held longest. Empty if no connection is held for a "
            "second or longer. If it is old and grows: a leak, a stuck job, or long_lived().",
            none="none held, or not reported",
            width=3,
            unit=Unit.SECONDS,
        ),
    )


def _history() -> Panel:
    return timeline(
        "Diagnosis of each process over time",
        each_process(THIS.diagnosis(POOL), most=TOP_BANDS),
        "The diagnosis of each process over time. All at once: the server or the load. One alone: "
        "that process leaks or blocks. No band: no exporter judged it then. The "
        f"{TOP_BANDS} worst processes.",
        none=NO_VERDICT,
        height=6,
    )


def _where() -> Panel:
    idle = THIS.total(wire.COUNT, f'{STATE}="{wire.ConnectionState.IDLE}"')
    return chart(
        "Connections by state",
        (
            Query(THIS.used(), "used"),
            Query(idle, "idle"),
            Query(THIS.total(wire.MAX), "limit"),
            Query(THIS.total(wire.POOL_OVERFLOW), "overflow"),
            Query(THIS.total(wire.PENDING_REQUESTS), "waiting"),
            Query(THIS.fullness(()), _FULLEST),
        ),
        "Where are the connections? The areas show used and idle connections of all chosen "
        "processes. The line above is their limit. The fullest process (right axis) counts alone: "
        "at 100% its callers wait, even if the other processes have free connections. Overflow is "
        "open beyond pool_size. Used that only rises is a leak.",
        none=NO_POOL,
        is_stacked=True,
        overrides=(
            *painted({"used": BLUE, "idle": LIGHT_BLUE}),
            line_over("limit", RED),
            line_over("overflow", YELLOW),
            line_over("waiting", PURPLE),
            on_right_axis(line_over(_FULLEST, AMBER), Unit.SHARE, most=1),
        ),
    )


_FULLEST = "fullest process"


def _why() -> Panel:
    return chart(
        "Held connections by verdict",
        (Query(summed(_held_once(), ("verdict",)), "{{verdict}}"),),
        "Connections that are out for a second or longer, by the state of their server session. "
        "Red: leaked, so nothing will return them. Amber: held by locks, slow statements or idle "
        "transactions. Green: they work, so a larger pool would help. Grey: unknown.",
        none=f"{NO_HOLDERS}, or no exporter judges",
        is_stacked=True,
        overrides=painted({str(verdict): colour for verdict, colour in VERDICTS.items()}),
    )


def _held_once() -> str:
    return by((*POOL, "verdict", "evidence", "http_route"), THIS.judged(own.HELD_CHECKOUTS))


def _fullness(sources: Sources) -> Panel:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return chart(
        f"Fullest processes, top {TOP}",
        (each_process(THIS.fullness(POOL)),),
        f"Connections in use, as a share of the limit of each process (T2: {full:.0%}). If one "
        "process is full and the others are not, it has a leak, or all the load. "
        f"{TOP_PROCESSES}",
        none="no data: the pool has no limit, or the sender does not report it",
        unit=Unit.SHARE,
        steps=lines(near, full),
    )


def _oldest() -> Panel:
    return chart(
        f"Oldest checkout of a process, top {TOP}",
        (each_process(by(POOL, THIS.judged(own.OLDEST_CHECKOUT_AGE))),),
        "Age of the connection that each process has held longest. A line that rises and never "
        f"falls is a connection that is never returned. {TOP_PROCESSES}",
        none=f"{NO_HOLDERS}, or no exporter judges",
        unit=Unit.SECONDS,
    )
