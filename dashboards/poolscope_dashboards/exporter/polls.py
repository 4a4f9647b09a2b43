"""Show the polls of servers and PgBouncers: their results and their cost."""

from poolscope_alerts.model import Sources
from poolscope_alerts.promql import Labels, by, selector
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.selection import OF_EXPORTER, STEP, joined
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import OwnMetric

_CHOICES = ("server", "pgbouncer")
"""Labels that the reader may choose values of."""

_SERVER = "{{server}} by {{instance}}"
_BOUNCER = "{{pgbouncer}} by {{instance}}"
_NONE = "no data: no exporter polls a server"
_NO_BOUNCER = "no data: no exporter polls a PgBouncer"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on polls."""
    return (
        _age(sources),
        _failures(),
        _duration(),
        _cost(),
        _missed(),
        _connections(),
        _bouncer_failures(),
        _names(),
    )


def _of(metric: OwnMetric, over: str = "") -> str:
    chosen = next((f'{label}=~"${label}"' for label in _CHOICES if label in metric.labels), "")
    return selector(metric.name, joined(OF_EXPORTER, chosen), over=over)


def _grown(metric: OwnMetric, labels: Labels) -> str:
    return by(labels, f"increase({_of(metric, STEP)})", "sum")


def _age(sources: Sources) -> Panel:
    blind_s = sources.tuning.blind_s
    return chart(
        "Age of the last poll of each server",
        (
            Query(f"time() - {_of(own.POLL_LAST_SUCCESS)}", _SERVER),
            Query(f"time() - {_of(own.PGBOUNCER_POLL_LAST_SUCCESS)}", _BOUNCER),
        ),
        "Time since the last answer to each exporter. Usually it is below the poll interval (5 s). "
        f"From {blind_s:g} s on, PoolscopePollFailing fires: the data of that server is too old.",
        none=_NONE,
        unit=Unit.SECONDS,
        steps=lines(amber=blind_s),
    )


def _failures() -> Panel:
    return events(
        "Failed polls of servers, by reason",
        (Query(_grown(own.POLL_FAILURES, ("server", "reason")), "{{server}} {{reason}}"),),
        "Polls of servers that failed, by reason. reserved_slots, role_limit and "
        "too_many_connections: the server is full. authentication, tls, name_resolution: run "
        "`poolscope-exporter check`, which shows the cause.",
        none=_NONE,
    )


def _duration() -> Panel:
    return chart(
        "Duration of a poll",
        (
            Query(_of(own.POLL_DURATION), _SERVER),
            Query(_of(own.PGBOUNCER_POLL_DURATION), _BOUNCER),
        ),
        "Time of the last successful poll. Usually a few milliseconds. If it rises, the server is "
        "busy or the network is slow.",
        none=_NONE,
        unit=Unit.SECONDS,
    )


def _cost() -> Panel:
    spent = _of(own.POLL_TIER_SECONDS, STEP)
    return chart(
        "Server time that polls use",
        (Query(by(("server", "tier"), f"rate({spent})", "sum"), "{{server}} {{tier}}"),),
        "Seconds per second that the exporters wait for each kind of query: at least the cost on "
        "the server. 0.01 is one hundredth of a CPU.",
        none=_NONE,
        is_stacked=True,
        roomy=0.01,
    )


def _missed() -> Panel:
    return events(
        "Poll queries without an answer",
        (Query(_grown(own.POLL_TIER_MISSED, ("server", "tier")), "{{server}} {{tier}}"),),
        "Queries that a server did not answer, by kind. Without *suspects*, the sessions behind "
        "held connections are unknown. Without *census*, *survey* or *groups*, the list of "
        "sessions is old. Without *locks*, root blockers are unknown.",
        none=_NONE,
    )


def _connections() -> Panel:
    return chart(
        "Connections of the exporters",
        (Query(_of(own.EXPORTER_CONNECTIONS), _SERVER),),
        "Connections of each exporter to each server: at most one.",
        none=_NONE,
    )


def _bouncer_failures() -> Panel:
    failed = _grown(own.PGBOUNCER_POLL_FAILURES, ("pgbouncer", "reason"))
    return events(
        "Failed polls of PgBouncers, by reason",
        (Query(failed, "{{pgbouncer}} {{reason}}"),),
        "Polls of PgBouncers that failed, by reason. Connections through a PgBouncer are unlinked "
        "until it answers.",
        none=_NO_BOUNCER,
    )


def _names() -> Panel:
    return events(
        "DNS lookups of PgBouncers, by result",
        (Query(_grown(own.PGBOUNCER_RESOLUTIONS, ("target", "result")), "{{target}} {{result}}"),),
        "DNS lookups of the configured names of PgBouncers, by result. If a lookup fails, the last "
        "known addresses stay in use. A PgBouncer that is configured by its address has none.",
        none="no PgBouncer is configured by a name",
    )
