"""Keep the facts of each runbook in step with its alert: what people write around them stays."""

import re
from collections.abc import Iterator, Sequence

from poolscope_alerts.model import PLACEHOLDERS, Alert, Sources, certain_labels
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

    ValueError where the text has no place for them, or a placeholder that no label fills.
    """
    try:
        facts = [*_facts(alerts, sources), *_filling(text, alerts)]
        return _between(text, BEGIN, END, facts)
    except ValueError as exc:
        raise ValueError(f"runbook of {alerts[0].name}: {exc}") from None


def _between(text: str, begin: str, end: str, lines: Sequence[str]) -> str:
    head, begun, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"has no {begin} … {end}")
    return head + "\n".join((begin, *lines, end)) + tail


def _filling(text: str, alerts: Sequence[Alert]) -> Iterator[str]:
    """Yield the line on the labels that fill the placeholders of a runbook's commands, if any.

    A placeholder that no label of the alert fills would leave its reader without an answer.
    """
    labels = placeholder_labels(text)
    certain = set(labels).intersection(*map(certain_labels, alerts))
    if strangers := [label for label in labels if label not in certain]:
        raise ValueError(f"uses ${PLACEHOLDERS[strangers[0]]}, but the alert has no {strangers[0]}")
    if labels:
        pairs = [f"`${PLACEHOLDERS[label]}` by `{label}`" for label in labels]
        *some, last = pairs
        listed = f"{', '.join(some)} and {last}" if some else last
        yield ""
        yield f"In each command, fill in the labels of the alert: replace {listed}."


def placeholder_labels(text: str) -> list[str]:
    """Return the labels for which a text has placeholders, in their usual order."""
    used = set(re.findall(r"\$(\w+)", text.partition(END)[2]))
    return [label for label, short in PLACEHOLDERS.items() if short in used]


def _lasting(alert: Alert) -> str:
    lasts_s = alert.for_s or alert.within_s
    return duration(lasts_s) if lasts_s else "at once"


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
