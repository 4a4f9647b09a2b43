"""Show the data that the exporters receive, reject and forward."""

from poolscope import catalogue as wire
from poolscope.catalogue import Metric
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import SERVICE, Labels, by, selector
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.ranking import TOP, top
from poolscope_dashboards.kit.selection import OF_EXPORTER, STEP, Selection, summed
from poolscope_dashboards.kit.variable import SERVICE_NAME
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS, OwnMetric

_SERVICE = f"{{{{{SERVICE_NAME}}}}}"
_CHOSEN = Selection(f'{SERVICE_NAME}=~"$service"')
_NONE = "no data: no exporter is scraped"
_NOT_FORWARDED = "no data: nothing is forwarded (--forward-to)"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on the pushes of applications."""
    return (_age(sources), _heard(), _requests(), _refused(), _closed(), _in_applications())


def forwarding() -> tuple[Panel, ...]:
    """Return the panels on forwarding."""
    return (_forwarded(), _lost(), _waiting(), _waiting_bytes())


def _grown(metric: OwnMetric, labels: Labels) -> str:
    return by(labels, f"increase({selector(metric.name, OF_EXPORTER, over=STEP)})", "sum")


def _age(sources: Sources) -> Panel:
    blind_s = sources.tuning.blind_s
    age = by(INSTANCE_LABELS, _CHOSEN.judged_process(own.INSTANCE_LAST_PUSH_AGE), "min")
    return chart(
        "Time since the last push, by service",
        (Query(top(by(SERVICE, age), SERVICE), f"{_SERVICE}, its oldest push"),),
        "Time since the last push, of the process of each service with the oldest push. Processes "
        f"push every 5 s. From {blind_s:g} s on, the process hangs, was killed, or cannot reach "
        f"the exporter. A process that shuts down cleanly is removed at once. The {TOP} oldest.",
        none="no process pushes",
        unit=Unit.SECONDS,
        steps=lines(amber=blind_s),
    )


def _heard() -> Panel:
    once = by(INSTANCE_LABELS, _CHOSEN.judged_process(own.INSTANCE_LAST_PUSH_AGE))
    return chart(
        "Processes that push, by service",
        (Query(top(by(SERVICE, once, "count"), SERVICE), _SERVICE),),
        "Processes that push, by service. If you run more, the others are not monitored. "
        f"The {TOP} services with the most processes.",
        none="no process pushes",
        is_stacked=True,
    )


def _requests() -> Panel:
    received = selector(own.RECEIVER_REQUESTS.name, OF_EXPORTER, over=STEP)
    return chart(
        "Pushes a second, by result",
        (Query(by(("result",), f"rate({received})", "sum"), "{{result}}"),),
        "OTLP requests a second, by result. If it is partial, the exporter rejected a part. If it "
        "is unauthorized, the token is missing or wrong. If it is foreign_host, the exporter has "
        "no token, and the sender does not push to a loopback address. If it is overloaded, the "
        "exporter receives more than it can process.",
        none=_NONE,
        unit=Unit.PER_SECOND,
        is_stacked=True,
    )


def _refused() -> Panel:
    return events(
        "Rejected data, by reason",
        (Query(_grown(own.RECEIVER_REFUSED, ("reason",)), "{{reason}}"),),
        "Data points, checkouts and pushes that the exporter rejected, by reason. A reason that "
        "begins with too_many is a limit of the exporter: see docs/receiver.md. The reason "
        "foreign_token means that two senders share one instance id. The reasons out_of_order "
        "and duplicate are harmless.",
        none=_NONE,
    )


def _closed() -> Panel:
    closed = _grown(own.CONNECTIONS_CLOSED, ("listener", "reason"))
    return events(
        "Connections closed by the exporter",
        (Query(closed, "{{listener}} {{reason}}"),),
        "Connections that the exporter closed by itself, by listener and reason: slow peers, and "
        "peers above its limits.",
        none=_NONE,
    )


def _in_applications() -> Panel:
    counted = {
        "errors of poolscope": wire.HOOK_ERRORS,
        "pushes that did not arrive": wire.PUSH_FAILURES,
        "points that an exporter rejected": wire.PUSH_REJECTED,
        "samples dropped": wire.SAMPLES_DROPPED,
    }
    return events(
        "Failures of the instrumentation",
        [
            Query(
                top(_failures_of(metric), SERVICE),
                f"{_SERVICE}: {word}",
            )
            for word, metric in counted.items()
        ],
        "Failures of poolscope in the processes of each service; the app itself is not affected. "
        "Errors of poolscope are bugs: please report them with the log line. Dropped samples are "
        f"missing in histograms. The {TOP} services with the most of each.",
        none="no data: no sender reports it",
    )


def _failures_of(metric: Metric) -> str:
    return summed(_CHOSEN.increase(metric, per=INSTANCE_LABELS, over=STEP), SERVICE)


def _forwarded() -> Panel:
    return events(
        "Forwarded requests, by result",
        (Query(_grown(own.FORWARD_REQUESTS, ("result",)), "{{result}}"),),
        "Requests to the upstream endpoint, by result: see --forward-to.",
        none=_NOT_FORWARDED,
    )


def _lost() -> Panel:
    return events(
        "Lost requests, by reason",
        (Query(_grown(own.FORWARD_LOST, ("reason",)), "{{reason}}"),),
        "Received requests that were not forwarded. queue_full: the upstream did not answer for "
        "too long. rejected: it refuses them permanently, so read its log.",
        none=_NOT_FORWARDED,
    )


def _waiting() -> Panel:
    return chart(
        "Requests that wait to be forwarded",
        (Query(selector(own.FORWARD_WAITING.name, OF_EXPORTER), "{{instance}}"),),
        "Received requests that wait to be forwarded: at most 2,000. Beyond that, the exporter "
        "drops the oldest.",
        none=_NOT_FORWARDED,
    )


def _waiting_bytes() -> Panel:
    return chart(
        "Bytes that wait to be forwarded",
        (Query(selector(own.FORWARD_WAITING_BYTES.name, OF_EXPORTER), "{{instance}}"),),
        "Size of the requests that wait to be forwarded: at most 16 MiB. Beyond that, the exporter "
        "drops the oldest.",
        none=_NOT_FORWARDED,
        unit=Unit.BYTES,
    )
