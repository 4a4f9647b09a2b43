"""Show how the exporters' questions to servers and bouncers go, and what they cost."""

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
_NONE = "no data: no exporter asks a server"
_NO_BOUNCER = "no data: no exporter asks a PgBouncer"


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
        "How old is what is known of each server?",
        (
            Query(f"time() - {_of(own.POLL_LAST_SUCCESS)}", _SERVER),
            Query(f"time() - {_of(own.PGBOUNCER_POLL_LAST_SUCCESS)}", _BOUNCER),
        ),
        "Time since the last answer to each exporter. Usually below the poll interval (5 s); from "
        f"{blind_s:g} s on the exporter is blind there, and PoolscopePollFailing fires.",
        none=_NONE,
        unit=Unit.SECONDS,
        steps=lines(amber=blind_s),
    )


def _failures() -> Panel:
    return events(
        "Why do polls fail?",
        (Query(_grown(own.POLL_FAILURES, ("server", "reason")), "{{server}} {{reason}}"),),
        "Polls of servers that failed, by reason. reserved_slots, role_limit and "
        "too_many_connections: the server is full. authentication, tls, name_resolution: "
        "`poolscope-exporter check` says what is wrong.",
        none=_NONE,
    )


def _duration() -> Panel:
    return chart(
        "How long does a poll take?",
        (
            Query(_of(own.POLL_DURATION), _SERVER),
            Query(_of(own.PGBOUNCER_POLL_DURATION), _BOUNCER),
        ),
        "Time of the last successful poll. A few milliseconds as a rule; a rise is a busy server "
        "or a slow network.",
        none=_NONE,
        unit=Unit.SECONDS,
    )


def _cost() -> Panel:
    spent = _of(own.POLL_TIER_SECONDS, STEP)
    return chart(
        "What do the polls cost the servers?",
        (Query(by(("server", "tier"), f"rate({spent})", "sum"), "{{server}} {{tier}}"),),
        "Seconds a second that the exporters wait for each kind of question: no less than what the "
        "questions cost the server. 0.01 is one hundredth of a CPU.",
        none=_NONE,
        is_stacked=True,
        roomy=0.01,
    )


def _missed() -> Panel:
    return events(
        "Which questions stay without an answer?",
        (Query(_grown(own.POLL_TIER_MISSED, ("server", "tier")), "{{server}} {{tier}}"),),
        "Questions that a server did not answer, by kind. suspects: the sessions behind held "
        "connections are not known; census, survey: the list of sessions is old.",
        none=_NONE,
    )


def _connections() -> Panel:
    return chart(
        "How many connections do the exporters take?",
        (Query(_of(own.EXPORTER_CONNECTIONS), _SERVER),),
        "Connections of each exporter to each server: never more than one.",
        none=_NONE,
    )


def _bouncer_failures() -> Panel:
    failed = _grown(own.PGBOUNCER_POLL_FAILURES, ("pgbouncer", "reason"))
    return events(
        "Why do polls of PgBouncers fail?",
        (Query(failed, "{{pgbouncer}} {{reason}}"),),
        "Polls of PgBouncers that failed, by reason: connections through them are unlinked until "
        "they answer.",
        none=_NO_BOUNCER,
    )


def _names() -> Panel:
    return events(
        "Are the names of the PgBouncers resolved?",
        (Query(_grown(own.PGBOUNCER_RESOLUTIONS, ("target", "result")), "{{target}} {{result}}"),),
        "Resolutions of the configured names of PgBouncers, by result. A name that is not resolved "
        "leaves the last known addresses in use. One that is configured by its address has none.",
        none="no PgBouncer is configured by a name",
    )
