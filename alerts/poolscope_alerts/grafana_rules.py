"""Write the same alerts for Grafana's own alerting, for those who load no rules into Prometheus.

Grafana asks Prometheus at an instant (A), takes the number of each series (B) and fires where
there is one (C). An expression that keeps a 0, like `up == 0`, must fire too: the condition asks
whether there is a number, never how large it is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

from poolscope_alerts.model import Alert, Group, Record, Sources, dashboard_path, page_query
from poolscope_alerts.promql import duration

Document = Mapping[str, Any]

DATA_SOURCE = "poolscope-prometheus"
"""The uid of the data source that `dashboards/provisioning/` brings."""

FOLDER = "poolscope"
EVERY_S = 60.0
"""How often Grafana looks: what Prometheus does where nobody says otherwise."""

_ASKED_S = 600
_LOOKS_TO_RESOLVE = 1
"""Grafana's own 2 would not notice a gap of one look within `for`, which Prometheus does."""

_EXPRESSIONS = "__expr__"
_QUERY, _NUMBER, _CONDITION = "A", "B", "C"


def alert_file(groups: tuple[Group, ...], sources: Sources) -> Document:
    """Return a file of Grafana's provisioning; what is recorded is written out where it is read."""
    recorded = {rule.name: rule.expression for rule in _rules(groups) if isinstance(rule, Record)}
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": group.name,
                "folder": FOLDER,
                "interval": duration(EVERY_S / sources.pace),
                "rules": [
                    _rule(alert, recorded, sources)
                    for alert in group.rules
                    if isinstance(alert, Alert)
                ],
            }
            for group in groups
            if any(isinstance(rule, Alert) for rule in group.rules)
        ],
    }


def title(alert: Alert) -> str:
    """Return what tells an alert from the others of its folder; it becomes its `alertname`."""
    return " ".join((alert.name, *alert.labels.values()))


def uid(alert: Alert) -> str:
    """Return what Grafana knows a rule by, whatever its title."""
    return "-".join(("poolscope", alert.name, *alert.labels.values()))


def written_out(expression: str, recorded: Mapping[str, str]) -> str:
    """Return an expression that needs no recording rule; a range over one becomes a subquery."""
    names = "|".join(map(re.escape, recorded))
    if not names:
        return expression
    whole = re.compile(rf"(?<![\w:])({names})(?![\w:])(\[\w+(?=\]))?")

    def write(found: re.Match[str]) -> str:
        inner = written_out(recorded[found[1]], recorded)  # a record may read another one
        return f"({inner})" + (f"{found[2]}:" if found[2] else "")

    return whole.sub(write, expression)


def translated(template: str) -> str:
    """Return a template of Prometheus for Grafana: there `$value` is a text with everything."""
    return re.sub(r"\$value\b", f"$values.{_NUMBER}.Value", template)


def _rules(groups: tuple[Group, ...]) -> Iterator[Alert | Record]:
    for group in groups:
        yield from group.rules


def _rule(alert: Alert, recorded: Mapping[str, str], sources: Sources) -> Document:
    tuning, pace = sources.tuning, sources.pace
    lasting = {"for": alert.for_s, "keepFiringFor": alert.keep_firing_s}
    return {
        "uid": uid(alert),
        "title": title(alert),
        "condition": _CONDITION,
        "data": [
            _query(str(promql_parser.parse(written_out(alert.expression, recorded)).prettify())),
            _expression(_NUMBER, "reduce", _QUERY, reducer="last"),
            _expression(_CONDITION, "math", f"is_nan(${_NUMBER}) == 0"),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        **{key: duration(value / pace) if value else "0s" for key, value in lasting.items()},
        "missing_series_evals_to_resolve": _LOOKS_TO_RESOLVE,
        "annotations": {
            "summary": translated(alert.summary),
            "description": translated(alert.description),
            "runbook_url": f"{tuning.runbook_base}/{alert.name}.md",
            "dashboard_url": f"{tuning.dashboard_base}/{dashboard_path(alert)}",
            "page_url": f"{tuning.page_base}/{page_query(alert)}",
        },
        "labels": {
            "severity": alert.severity.value,
            "component": alert.component.value,
            **alert.labels,
        },
    }


def _query(expression: str) -> Document:
    return {
        "refId": _QUERY,
        "relativeTimeRange": {"from": _ASKED_S, "to": 0},
        "datasourceUid": DATA_SOURCE,
        "model": {
            "refId": _QUERY,
            "datasource": {"type": "prometheus", "uid": DATA_SOURCE},
            "editorMode": "code",
            "instant": True,
            "range": False,
            "expr": expression,
        },
    }


def _expression(ref: str, kind: str, expression: str, **more: str) -> Document:
    return {
        "refId": ref,
        "datasourceUid": _EXPRESSIONS,
        "model": {
            "refId": ref,
            "datasource": {"type": _EXPRESSIONS, "uid": _EXPRESSIONS},
            "type": kind,
            "expression": expression,
            **more,
        },
    }
