"""Write the tables of docs/metrics.md from the two catalogues.

`make docs` runs it.
"""

from collections.abc import Iterable
from pathlib import Path

from poolscope import catalogue as wire
from poolscope.catalogue import Kind, Metric
from poolscope_exporter.core.own_metrics import (
    HTTP_ROUTE,
    INSTANCE_LABELS,
    OWN_METRICS,
    POOL_LABELS,
    ROUTE_LABELS,
    OwnMetric,
)
from poolscope_exporter.core.prometheus_names import label_name, metric_name

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
BEGIN = "<!-- metrics: written by make docs -->"
END = "<!-- /metrics -->"
TYPES = {
    Kind.COUNTER: "counter",
    Kind.UP_DOWN_COUNTER: "gauge",
    Kind.GAUGE: "gauge",
    Kind.HISTOGRAM: "histogram",
}
WIRE_HEAD = ("| Prometheus | wire | type | unit | labels | meaning |", "|---|---|---|---|---|---|")
OWN_HEAD = ("| Prometheus | type | labels | meaning |", "|---|---|---|---|")
PUSH_HEAD = ("| wire | unit | attributes | meaning |", "|---|---|---|---|")
SHARED = (
    ("pool", POOL_LABELS),
    ("route", ROUTE_LABELS),
    ("process", INSTANCE_LABELS),
)
"""Labels that many series have; a row names the first of these groups that fits."""

VALUES = (
    (wire.CONNECTION_STATE, wire.ConnectionState),
    (wire.EVIDENCE, wire.Evidence),
    (wire.OWNER_KIND, wire.OwnerKind),
    (wire.UNIT_KIND, wire.UnitKind),
    (f"{wire.REASON} of {wire.CHECKOUT_FAILURES.name}", wire.FailureReason),
    (f"{wire.REASON} of {wire.CLOSED.name}", wire.CloseReason),
    (f"{wire.REASON} of {wire.INVALIDATED.name}", wire.InvalidationReason),
    (f"{wire.KIND} of {wire.CONNECT_ERRORS.name}", wire.ConnectErrorKind),
    (f"{wire.KIND} of {wire.SESSION_ERRORS.name}", wire.SessionErrorKind),
    (wire.SERVING_AGE, wire.ServingAge),
    (f"{wire.SETTING} of {wire.POOL_PREPARED_STATEMENTS.name}", wire.StatementSetting),
)


def table() -> list[str]:
    """Return the generated part of the document, line by line."""
    published = [metric for metric in wire.METRICS if metric.scope == wire.SCOPE]
    pushed = [metric for metric in wire.METRICS if metric.scope == wire.PUSH_SCOPE]
    return [
        "## Metrics of the app", "",
        *(f"- *{word}* stands for {_code(labels)}" for word, labels in SHARED), "",
        *WIRE_HEAD, *map(_wire_row, published), "",
        "Bounds of the histograms, in seconds:", "",
        *(f"- `{m.name}`: {', '.join(f'{b:g}' for b in m.bounds)}" for m in published if m.bounds),
        "", "## Metrics of the exporter", "",
        *OWN_HEAD, *map(_own_row, OWN_METRICS), "",
        "## Data for the exporter only", "",
        "The app sends these only to the exporter. They are never exposed and never forwarded to",
        "another backend, because their number of series has no limit.", "",
        *PUSH_HEAD, *map(_push_row, pushed), "",
        "## Values", "",
        "| attribute | values |", "|---|---|",
        *(f"| `{name}` | {_code(value.value for value in values)} |" for name, values in VALUES),
    ]  # fmt: skip


def write() -> None:
    """Replace the part of the document between the marks."""
    before, rest = DOCUMENT.read_text().split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text("\n".join([before + BEGIN, "", *table(), "", END + after]))


def _wire_row(metric: Metric) -> str:
    name = metric_name(metric.name, metric.kind, metric.unit)
    cells = (
        f"`{name}`",
        f"`{metric.name}`",
        TYPES[metric.kind],
        metric.unit,
        _labels(_wire_labels(metric)),
        metric.description,
    )
    return f"| {' | '.join(cells)} |"


def _wire_labels(metric: Metric) -> tuple[str, ...]:
    """Return the labels at `/metrics`, where routes are summed over a service's processes."""
    own = tuple(label_name(name) for name in metric.attributes)
    if metric in wire.PROCESS_METRICS:
        return INSTANCE_LABELS + own
    return ROUTE_LABELS if own == (HTTP_ROUTE,) else POOL_LABELS + own


def _own_row(metric: OwnMetric) -> str:
    return f"| `{metric.name}` | {metric.type.value} | {_labels(metric.labels)} | {metric.help} |"


def _push_row(metric: Metric) -> str:
    attributes = _code(metric.attributes)
    return f"| `{metric.name}` | {metric.unit} | {attributes} | {metric.description} |"


def _labels(labels: tuple[str, ...]) -> str:
    for word, shared in SHARED:
        if labels[: len(shared)] == shared:
            return ", ".join([f"*{word}*", *(f"`{label}`" for label in labels[len(shared) :])])
    return _code(labels)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    write()
