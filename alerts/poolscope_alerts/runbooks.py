"""Keep the facts of each runbook in step with its alert: what people write around them stays."""

from collections.abc import Iterator, Sequence

from poolscope_alerts.alert import Alert, Sources
from poolscope_alerts.promql import duration
from poolscope_exporter.core.documented import ThresholdId

BEGIN = "<!-- rule: written by make rules -->"
END = "<!-- /rule -->"
HEADINGS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


def with_facts(text: str, alerts: Sequence[Alert], sources: Sources) -> str:
    """Return a runbook with the facts of its alerts, which have one name.

    ValueError where the text has no place for them.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"runbook of {alerts[0].name}: has no {BEGIN} … {END}")
    return head + "\n".join((BEGIN, *_facts(alerts, sources), END)) + tail


def _facts(alerts: Sequence[Alert], sources: Sources) -> Iterator[str]:
    yield "| severity | fires when | for |"
    yield "|---|---|---|"
    for alert in alerts:
        lasting = duration(alert.for_s) if alert.for_s else "at once"
        yield f"| {alert.severity.value} | {alert.limit} | {lasting} |"
    rows = [sources[row] for row in dict.fromkeys(_rows(alerts))]
    if rows:
        yield ""
    yield from (f"- {row.id} ({row.title}): {row.advice}" for row in rows)


def _rows(alerts: Sequence[Alert]) -> Iterator[ThresholdId]:
    for alert in alerts:
        yield from alert.thresholds
