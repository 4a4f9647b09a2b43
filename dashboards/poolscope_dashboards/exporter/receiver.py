"""Show what arrives at the exporters, what they refuse, what they pass on."""

from poolscope import catalogue as wire
from poolscope_alerts.model import Sources
from poolscope_alerts.promql import SERVICE, Labels, by, selector
from poolscope_dashboards.kit.charts import chart, events
from poolscope_dashboards.kit.panel import Panel, Query, Unit, lines
from poolscope_dashboards.kit.selection import OF_EXPORTER, STEP, Selection, summed
from poolscope_dashboards.kit.variable import SERVICE_NAME
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.own_metrics import INSTANCE_LABELS, OwnMetric

_SERVICE = f"{{{{{SERVICE_NAME}}}}}"
_CHOSEN = Selection(f'{SERVICE_NAME}=~"$service"')
_NONE = "no data: no exporter is scraped"
_NOT_FORWARDED = "no data: nothing is forwarded (--forward-to)"


def panels(sources: Sources) -> tuple[Panel, ...]:
    """Return the panels on what applications push."""
    return (_age(sources), _heard(), _requests(), _refused(), _closed(), _in_applications())


def forwarding() -> tuple[Panel, ...]:
    """Return the panels on what is passed on."""
    return (_forwarded(), _lost(), _waiting(), _waiting_bytes())


def _grown(metric: OwnMetric, labels: Labels) -> str:
    return by(labels, f"increase({selector(metric.name, OF_EXPORTER, over=STEP)})", "sum")


def _age(sources: Sources) -> Panel:
    blind_s = sources.tuning.blind_s
    age = by(INSTANCE_LABELS, _CHOSEN.judged_process(own.INSTANCE_LAST_PUSH_AGE), "min")
    return chart(
        "Which service is silent?",
        (Query(by(SERVICE, age), f"{_SERVICE}, its quietest process"),),
        "Time since the last push of the process of each service that has been silent longest. "
        f"They push every 5 s; from {blind_s:g} s on a process hangs, was killed, or cannot reach "
        "the exporter. One that ends in order leaves at once.",
        none="no process pushes",
        unit=Unit.SECONDS,
        steps=lines(amber=blind_s),
    )


def _heard() -> Panel:
    once = by(INSTANCE_LABELS, _CHOSEN.judged_process(own.INSTANCE_LAST_PUSH_AGE))
    return chart(
        "How many processes push?",
        (Query(by(SERVICE, once, "count"), _SERVICE),),
        "Processes that push, by service. Fewer than run: the others are not seen.",
        none="no process pushes",
        is_stacked=True,
    )


def _requests() -> Panel:
    received = selector(own.RECEIVER_REQUESTS.name, OF_EXPORTER, over=STEP)
    return chart(
        "What becomes of the pushes?",
        (Query(by(("result",), f"rate({received})", "sum"), "{{result}}"),),
        "OTLP requests a second, by result. partial: some of it was refused. unauthorized: the "
        "token is missing or wrong. overloaded: more arrives than the exporter can take.",
        none=_NONE,
        unit=Unit.PER_SECOND,
        is_stacked=True,
    )


def _refused() -> Panel:
    return events(
        "Why is something refused?",
        (Query(_grown(own.RECEIVER_REFUSED, ("reason",)), "{{reason}}"),),
        "Data points, checkouts and pushes that were not kept, by reason. too_many_…: a limit of "
        "the exporter, see docs/receiver.md. foreign_token: two senders share one instance id. "
        "out_of_order and duplicate are harmless.",
        none=_NONE,
    )


def _closed() -> Panel:
    closed = _grown(own.CONNECTIONS_CLOSED, ("listener", "reason"))
    return events(
        "Which connections does the exporter close?",
        (Query(closed, "{{listener}} {{reason}}"),),
        "Connections that the exporter closed on their peers: slow ones, and more than it admits.",
        none=_NONE,
    )


def _in_applications() -> Panel:
    counted = {
        "errors of ours": wire.HOOK_ERRORS,
        "pushes that did not arrive": wire.PUSH_FAILURES,
        "samples dropped": wire.SAMPLES_DROPPED,
    }
    return events(
        "Does the instrumentation fail in the applications?",
        [
            Query(
                summed(_CHOSEN.increase(metric, per=INSTANCE_LABELS, over=STEP), SERVICE),
                f"{_SERVICE}: {word}",
            )
            for word, metric in counted.items()
        ],
        "What went wrong in the processes of each service, contained there. Errors of ours are "
        "bugs: please report them with the log line. Dropped samples are missing from histograms.",
        none="no data: no application publishes",
    )


def _forwarded() -> Panel:
    return events(
        "Does the upstream take what is forwarded?",
        (Query(_grown(own.FORWARD_REQUESTS, ("result",)), "{{result}}"),),
        "Requests to the upstream endpoint, by result.",
        none=_NOT_FORWARDED,
    )


def _lost() -> Panel:
    return events(
        "What is not forwarded?",
        (Query(_grown(own.FORWARD_LOST, ("reason",)), "{{reason}}"),),
        "Received requests that were not forwarded. queue_full: the upstream was away for too "
        "long. rejected: it refuses them for good, so look at its log.",
        none=_NOT_FORWARDED,
    )


def _waiting() -> Panel:
    return chart(
        "How many requests wait for the upstream?",
        (Query(selector(own.FORWARD_WAITING.name, OF_EXPORTER), "{{instance}}"),),
        "Received requests that wait to be forwarded: at most 2,000, then the oldest go.",
        none=_NOT_FORWARDED,
    )


def _waiting_bytes() -> Panel:
    return chart(
        "How much waits for the upstream?",
        (Query(selector(own.FORWARD_WAITING_BYTES.name, OF_EXPORTER), "{{instance}}"),),
        "Size of what waits to be forwarded: at most 16 MiB, then the oldest goes.",
        none=_NOT_FORWARDED,
        unit=Unit.BYTES,
    )
