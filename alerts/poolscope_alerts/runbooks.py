"""Keep the facts of each runbook in step with its alert: what people write around them stays."""

from collections.abc import Iterator, Sequence

from poolscope_alerts.model import Alert, Sources
from poolscope_alerts.promql import duration
from poolscope_exporter.core.checks.thresholds import ThresholdId

BEGIN = "<!-- rule: written by make rules -->"
END = "<!-- /rule -->"
HEADINGS = ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation")


LIST_BEGIN = "<!-- alerts: written by make rules -->"
LIST_END = "<!-- /alerts -->"


def with_list(text: str, alerts: Sequence[Alert]) -> str:
    """Return the document on alerts with the table of all of them; ValueError without a place."""
    lines = ["| alert | severity | fires when | for |", "|---|---|---|---|"]
    for alert in alerts:
        link = f"[{alert.name}](../alerts/runbooks/{alert.name}.md)"
        lines.append(f"| {link} | {alert.severity.value} | {alert.limit} | {_lasting(alert)} |")
    return _between(text, LIST_BEGIN, LIST_END, lines)


def with_facts(text: str, alerts: Sequence[Alert], sources: Sources) -> str:
    """Return a runbook with the facts of its alerts, which have one name.

    ValueError where the text has no place for them.
    """
    try:
        return _between(text, BEGIN, END, list(_facts(alerts, sources)))
    except ValueError as exc:
        raise ValueError(f"runbook of {alerts[0].name}: {exc}") from None


def _between(text: str, begin: str, end: str, lines: Sequence[str]) -> str:
    head, begun, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"has no {begin} … {end}")
    return head + "\n".join((begin, *lines, end)) + tail


def _lasting(alert: Alert) -> str:
    return duration(alert.for_s) if alert.for_s else "at once"


def _facts(alerts: Sequence[Alert], sources: Sources) -> Iterator[str]:
    yield "| severity | fires when | for |"
    yield "|---|---|---|"
    for alert in alerts:
        yield f"| {alert.severity.value} | {alert.limit} | {_lasting(alert)} |"
    rows = [sources[row] for row in dict.fromkeys(_rows(alerts))]
    if rows:
        yield ""
    yield from (f"- {row.id} ({row.title}): {row.advice}" for row in rows)


def _rows(alerts: Sequence[Alert]) -> Iterator[ThresholdId]:
    for alert in alerts:
        yield from alert.thresholds
