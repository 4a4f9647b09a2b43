"""Put all rules in order, as the structures that Prometheus and its operator load."""

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

from poolscope_alerts import pool_connecting as connecting
from poolscope_alerts import pool_exhaustion as exhaustion
from poolscope_alerts import pool_leaks as leaks
from poolscope_alerts import pool_timeouts as timeouts
from poolscope_alerts import pool_usage as usage
from poolscope_alerts import pool_waiting as waiting
from poolscope_alerts import poolscope_itself as blindness
from poolscope_alerts import servers
from poolscope_alerts.model import Alert, Group, Record, Sources, dashboard_path
from poolscope_alerts.promql import duration

Document = Mapping[str, Any]


def groups(sources: Sources) -> tuple[Group, ...]:
    """Return the rules that everybody loads: availability first, information last."""
    return (
        Group("poolscope-leaks", leaks.alerts(sources)),
        Group("poolscope-exhaustion", exhaustion.alerts(sources)),
        Group("poolscope-connecting", connecting.alerts(sources)),
        Group("poolscope-waiting", waiting.alerts(sources)),
        Group("poolscope-timeouts", (*timeouts.records(sources), *timeouts.alerts(sources))),
        Group("poolscope-usage", usage.alerts(sources)),
        Group("poolscope-servers", servers.alerts(sources)),
        Group("poolscope-blindness", blindness.alerts(sources)),
    )


def absent_groups(sources: Sources) -> tuple[Group, ...]:
    """Return the opt-in rule."""
    return (Group("poolscope-absent", (blindness.absent_alert(sources),)),)


def all_alerts(sources: Sources) -> Iterator[Alert]:
    """Yield every alert, the opt-in one too."""
    for group in (*groups(sources), *absent_groups(sources)):
        yield from (rule for rule in group.rules if isinstance(rule, Alert))


def rule_file(all_groups: tuple[Group, ...], sources: Sources) -> Document:
    """Return what a rule file of Prometheus holds."""
    return {
        "groups": [
            {"name": group.name, "rules": [_rule(rule, sources) for rule in group.rules]}
            for group in all_groups
        ]
    }


def prometheus_rule(name: str, file: Document) -> Document:
    """Return the same for the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "poolscope"}},
        "spec": file,
    }


def _rule(rule: Alert | Record, sources: Sources) -> Document:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": _laid_out(rule.expression)}
    tuning = sources.tuning
    lasting = {"for": rule.for_s, "keep_firing_for": rule.keep_firing_s}
    return {
        "alert": rule.name,
        "expr": _laid_out(rule.expression),
        **{key: duration(value / sources.pace) for key, value in lasting.items() if value},
        "labels": {
            "severity": rule.severity.value,
            "component": rule.component.value,
            **rule.labels,
        },
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{tuning.runbook_base}/{rule.name}.md",
            "dashboard_url": f"{tuning.dashboard_base}/{dashboard_path(rule)}",
        },
    }


def _laid_out(expression: str) -> str:
    """Return the same expression as people read it; ValueError where it is no PromQL."""
    return str(promql_parser.parse(expression).prettify())
