"""Show the configuration of one pool, with the documented ranges, and its server."""

from collections.abc import Mapping
from typing import Final

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import POOL, STATE, by, name
from poolscope_dashboards.kit.charts import stat
from poolscope_dashboards.kit.links import TO_SERVER
from poolscope_dashboards.kit.palette import (
    AMBER,
    GREEN,
    GREY,
    RESULTS,
    Json,
    is_up,
    unknown,
    words,
)
from poolscope_dashboards.kit.panel import Panel, Step, Unit, now, room
from poolscope_dashboards.kit.selection import per_server, summed
from poolscope_dashboards.kit.tables import Column, Sort, table
from poolscope_dashboards.pool.selection import THIS
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.checks.model import CheckId, Result
from poolscope_exporter.core.checks.thresholds import Threshold, ThresholdId
from poolscope_exporter.core.checks.thresholds import Unit as Measure
from poolscope_exporter.core.own_metrics import OwnMetric
from poolscope_exporter.core.prometheus_names import label_name

_SUFFIX: Final[Mapping[Measure, str]] = {Measure.SECONDS: " s", Measure.CONNECTIONS: ""}


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on configuration."""
    return (*_settings(sources), _checks(sources), _server(), _info(sources))


def _checks(sources: Sources) -> Panel:
    columns = (
        Column(
            str(result),
            _passing(result),
            width=100,
            steps=(Step(None, GREY), Step(0, "text"), Step(1, colour)),
        )
        for result, colour in RESULTS.items()
    )
    return table(
        "Configuration checks",
        (Column("Check", label="check_id", mappings=(check_titles(sources),)), *columns),
        "Number of processes by result of each configuration check, with the documented range. If "
        "it is warn, change the setting: poolscope-exporter audit shows the value and the cure. If "
        "it is unknown, audit shows the missing fact. If it is elsewhere, this sidecar cannot "
        "judge: the exporter of the server does.",
        none="no data: the sender reports no settings, or no exporter checks this pool",
        sort=Sort(str(Result.WARN)),
        width=14,
        height=11,
    )


def _passing(result: Result) -> str:
    """Return how many processes have the result, by check; 0 where they have another."""
    labels = ("check_id",)
    such = by((*POOL, *labels), THIS.judged(own.CONFIG_CHECK, f'result="{result}"'))
    every = by(labels, THIS.judged(own.CONFIG_CHECK))
    return f"{by(labels, such, 'count')} or 0 * {every}"


def check_titles(sources: Sources) -> Json:
    """Return the mapping of the checks' ids to what they check, with the safe ranges."""
    rows = [sources[ThresholdId(check)] for check in CheckId]
    return words({str(row.id): (f"{row.id} {row.title}{_range(row)}", "text") for row in rows})


def _range(row: Threshold) -> str:
    """Return what is safe, in words."""
    suffix = _SUFFIX.get(row.unit, "")
    if row.least is not None:
        return f": {row.lowest:g} to {row.highest:g}{suffix}"
    if row.unit in (Measure.SHARE, Measure.RATIO) and row.value is not None:
        return f": {row.limit:.0%}"
    return ""


def _between(row: Threshold, step: float) -> tuple[Step, ...]:
    """Return the steps of a safe range; `step` is the least that is more than its upper end."""
    return (
        Step(None, GREY),
        Step(0, AMBER),
        Step(row.lowest, GREEN),
        Step(row.highest + step, AMBER),
    )


def _settings(sources: Sources) -> tuple[Panel, ...]:
    size, timeout = sources[ThresholdId.C1], sources[ThresholdId.C3]
    overflow, keepalive = sources[ThresholdId.C2], sources[ThresholdId.C6]
    per_size = f"{THIS.gauge(wire.POOL_MAX_OVERFLOW)} / ({THIS.gauge(wire.POOL_SIZE)} > 0)"
    return (
        stat(
            "pool_size",
            now(_most(wire.POOL_SIZE)),
            f"Connections that a process keeps open (C1: {size.lowest:g} to {size.highest:g}). "
            f"{size.advice} The largest of the chosen processes.",
            width=3,
            none="not reported",
            steps=_between(size, 1),
        ),
        stat(
            "max_overflow share",
            now(by((), per_size)),
            f"The share by which a burst may exceed pool_size (C2: {overflow.lowest:.0%} to "
            f"{overflow.highest:.0%}). {overflow.advice}",
            width=3,
            none="unlimited, or not reported",
            unit=Unit.SHARE,
            steps=_between(overflow, 0.001),
        ),
        stat(
            "pool_timeout",
            now(_most(wire.POOL_TIMEOUT)),
            "Longest time that a caller waits "
            f"(C3: {timeout.lowest:g} to {timeout.highest:g} s). {timeout.advice}",
            width=3,
            none="for ever, or not reported",
            unit=Unit.SECONDS,
            steps=_between(timeout, 0.001),
        ),
        stat(
            "connect_timeout",
            now(_most(wire.POOL_CONNECT_TIMEOUT)),
            "How long the driver tries to open a connection; 0 is no limit. It must be shorter "
            f"than pool_timeout (C14). {sources[ThresholdId.C14].advice}",
            width=3,
            none="not reported",
            unit=Unit.SECONDS,
            steps=(Step(None, GREY), Step(0, AMBER), Step(0.001, "text")),
        ),
        stat(
            "pool_recycle",
            now(_most(wire.POOL_RECYCLE)),
            "Age at which the pool replaces a connection. It must be shorter than the idle "
            f"time-out of a proxy in between (C4). {sources[ThresholdId.C4].advice}",
            width=3,
            none="never, or not reported",
            unit=Unit.SECONDS,
        ),
        stat(
            "Idle time-out",
            now(_most(wire.POOL_IDLE_TIMEOUT)),
            "Unused time after which the pool closes a connection beyond its minimum; 0 is never. "
            "asyncpg: max_inactive_connection_lifetime; psycopg_pool: max_idle.",
            width=3,
            none="no such setting, or not reported",
            unit=Unit.SECONDS,
        ),
        stat(
            "pool_pre_ping",
            now(by((), THIS.app(name(wire.POOL_PRE_PING)), "min")),
            f"Whether connections are tested before use (C5). {sources[ThresholdId.C5].advice} "
            "The value is off if one of the chosen processes has it off.",
            width=3,
            none="not reported",
            mappings=(words({1: ("on", GREEN), 0: ("off", AMBER)}), unknown("not reported")),
        ),
        stat(
            "TCP keepalive",
            now(_most(wire.POOL_KEEPALIVE)),
            "Idle time before the system probes a connection; 0 is off "
            f"(C6: {keepalive.lowest:g} to {keepalive.highest:g} s). {keepalive.advice}",
            width=3,
            none="not reported",
            unit=Unit.SECONDS,
            steps=_between(keepalive, 0.001),
        ),
    )


def _most(metric: wire.Metric) -> str:
    return by((), THIS.app(name(metric)))


def _server() -> Panel:
    way = ("server", "pgbouncer")
    leading = THIS.leading_to(labels=(*POOL, *way))
    count = summed(THIS.gauge(wire.COUNT, labels=(*POOL, STATE)), POOL)
    opened = f"{leading} * on ({', '.join(POOL)}) group_left () {count}"

    def of_server(metric: OwnMetric) -> str:
        return f"{by(way, leading)} * on (server) group_left () {per_server(metric)}"

    return table(
        "Server of this pool",
        (
            Column("Server", label="server", link=TO_SERVER),
            Column("PgBouncer", label="pgbouncer"),
            Column("Open connections", summed(opened, way), width=145),
            Column("Answers", of_server(own.SERVER_UP), mappings=is_up()),
            Column("Headroom", of_server(own.SERVER_HEADROOM), steps=room()),
        ),
        "The server that has the pool's sessions, the PgBouncer in between, and the number of "
        "further sessions that the server admits. A row opens the server.",
        none="unknown: no exporter polls this server, or no connection was linked to it yet",
        sort=Sort("Open connections"),
        width=10,
        height=11,
    )


def _info(sources: Sources) -> Panel:
    labels = tuple(map(label_name, wire.POOL_INFO.attributes))
    once = by((*POOL, *labels), THIS.app(name(wire.POOL_INFO)))
    library, kind = label_name(wire.LIBRARY), label_name(wire.POOL_CLASS)
    return table(
        "Pool class and library",
        (
            Column("Library", label=library),
            Column("Class", label=kind),
            Column("Database", label=label_name(wire.DB_SYSTEM_NAME)),
            Column("Processes", by(labels, once, "count"), width=110),
        ),
        f"Pool class and library (C9). {sources[ThresholdId.C9].advice}",
        none="not reported",
        sort=Sort("Processes"),
        height=5,
    )
