"""Show how one pool is now: its diagnosis, where its connections are, why they are out."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, STATE, by
from poolscope_dashboards.kit.charts import chart, stat, timeline
from poolscope_dashboards.kit.palette import (
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
    painted,
)
from poolscope_dashboards.kit.selection import summed
from poolscope_dashboards.pool.selection import BY_PROCESS, NO_POOL, NO_VERDICT, THIS
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
            "What is the matter, in one word: the worst of the chosen processes. The last rows say "
            "what the words mean; the exporter's live page says why, with the numbers.",
            none="no data",
            width=6,
            mappings=diagnosis_words(),
        ),
        stat(
            "Fullest process",
            now(THIS.fullness(())),
            f"The largest share of its connections that one process has out. At {full:.0%} (T2) "
            f"the next caller of that process waits; from {near:.0%} on a burst may do it.",
            none="no limit, or no data",
            width=3,
            unit=Unit.SHARE,
            steps=limits(near, full),
        ),
        stat(
            "Used",
            now(THIS.used()),
            "Connections that are out, of all chosen processes together.",
            none="no data",
            width=3,
        ),
        stat(
            "Waiting",
            now(THIS.total(wire.PENDING_REQUESTS)),
            "Callers that are blocked now because no connection is left. Above 0: Diagnosis says "
            "whether it leaks, or all that is out works.",
            none="no data",
            width=3,
            steps=limits(amber=1),
        ),
        stat(
            "Leaked",
            now(f"sum({THIS.held(Verdict.LEAKED, POOL)})"),
            "Connections that nobody is left to return, by evidence (T4). Route and line are in "
            "the table of leaks below; they come back when the process is restarted.",
            none="no data",
            width=3,
            steps=limits(red=1),
        ),
        stat(
            "Time-outs",
            now(summed(THIS.increase(wire.TIMEOUTS))),
            "Callers that gave up waiting, in the time range above (T6).",
            none="no data",
            width=3,
            is_count=True,
            steps=limits(red=1),
        ),
        stat(
            "Oldest checkout",
            now(by((), THIS.judged(own.OLDEST_CHECKOUT_AGE))),
            "For how long the connection that is held longest has been out. Nothing where none is "
            "held for a second or longer. Old and growing: a leak, a stuck job, or long_lived().",
            none="none held, or no data",
            width=3,
            unit=Unit.SECONDS,
        ),
    )


def _history() -> Panel:
    return timeline(
        "What was the matter, process by process?",
        Query(THIS.diagnosis(POOL), BY_PROCESS),
        "The diagnosis of each process over time. All at once: the server or the load. One alone: "
        "that process leaks or blocks. No band: no exporter judged it then.",
        none=NO_VERDICT,
        height=6,
    )


def _where() -> Panel:
    idle = THIS.total(wire.COUNT, f'{STATE}="{wire.ConnectionState.IDLE}"')
    return chart(
        "Where are the connections?",
        (
            Query(THIS.used(), "used"),
            Query(idle, "idle"),
            Query(THIS.total(wire.MAX), "limit"),
            Query(THIS.total(wire.POOL_OVERFLOW), "overflow"),
            Query(THIS.total(wire.PENDING_REQUESTS), "waiting"),
        ),
        "Used and idle connections on top of each other, below the limit of all chosen processes "
        "together. Used at the limit and callers waiting is exhaustion; overflow is what is open "
        "beyond pool_size. Used that only rises is a leak.",
        none=NO_POOL,
        is_stacked=True,
        overrides=(
            *painted({"used": BLUE, "idle": LIGHT_BLUE}),
            line_over("limit", RED),
            line_over("overflow", YELLOW),
            line_over("waiting", PURPLE),
        ),
    )


def _why() -> Panel:
    return chart(
        "Why are connections held?",
        (Query(summed(_held_once(), ("verdict",)), "{{verdict}}"),),
        "Connections that are out for a second or longer, by what their server session does. Red: "
        "nobody will return them. Amber: held by locks, slow statements or idle transactions. "
        "Green: they work, so a larger pool would help. Grey: not known.",
        none="no connection is held for a second, or no exporter judges",
        is_stacked=True,
        overrides=painted({str(verdict): colour for verdict, colour in VERDICTS.items()}),
    )


def _held_once() -> str:
    return by((*POOL, "verdict", "evidence", "http_route"), THIS.judged(own.HELD_CHECKOUTS))


def _fullness(sources: Sources) -> Panel:
    near, full = sources.tuning.near_exhaustion_share, sources[ThresholdId.T2].limit
    return chart(
        "How full is each process?",
        (Query(THIS.fullness(POOL), BY_PROCESS),),
        f"Connections that are out, of those that the process may open (T2: {full:.0%}). One "
        "process that is full while the others are not has a leak, or all the load.",
        none="no data: the pool has no limit, or nobody publishes it",
        unit=Unit.SHARE,
        steps=lines(near, full),
    )


def _oldest() -> Panel:
    return chart(
        "How old is the oldest checkout?",
        (Query(by(POOL, THIS.judged(own.OLDEST_CHECKOUT_AGE)), BY_PROCESS),),
        "For how long the longest-held connection of each process has been out. A line that rises "
        "and never falls is a connection that nobody returns.",
        none="no connection is held for a second, or no exporter judges",
        unit=Unit.SECONDS,
    )
