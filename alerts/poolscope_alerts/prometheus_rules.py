"""Put all rules in order, as the structures that Prometheus and its operator load."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import promql_parser

from poolscope_alerts import pool_causes as causes
from poolscope_alerts import pool_connecting as connecting
from poolscope_alerts import pool_exhaustion as exhaustion
from poolscope_alerts import pool_leaks as leaks
from poolscope_alerts import pool_timeouts as timeouts
from poolscope_alerts import pool_usage as usage
from poolscope_alerts import pool_waiting as waiting
from poolscope_alerts import poolscope_itself as blindness
from poolscope_alerts import servers
from poolscope_alerts.conditions.causes import paging_pools
from poolscope_alerts.conditions.leaks import leak_records
from poolscope_alerts.conditions.place import placed, places
from poolscope_alerts.conditions.pressure import hurt_pools
from poolscope_alerts.model import Alert, Group, Record, Sources, dashboard_path, page_query
from poolscope_alerts.promql import duration
from poolscope_alerts.texts.details import details

Document = Mapping[str, Any]

CONDITIONS = "poolscope-conditions"
"""The group of what the alerts of all groups read: load it with them."""

_CONDITIONS_EVERY_S = 5.0
"""What other groups read is as fresh as a scrape: else each page waits for two evaluations."""


def groups(sources: Sources) -> tuple[Group, ...]:
    """Return the rules that everybody loads: availability first, information last."""
    return tuple(
        replace(group, rules=tuple(map(_placed, group.rules))) for group in _groups(sources)
    )


def _placed(rule: Alert | Record) -> Alert | Record:
    return placed(rule) if isinstance(rule, Alert) else rule


def _groups(sources: Sources) -> tuple[Group, ...]:
    return (
        Group(CONDITIONS, _conditions(sources), _CONDITIONS_EVERY_S),
        Group("poolscope-leaks", leaks.alerts(sources)),
        Group("poolscope-exhaustion", (*exhaustion.records(sources), *exhaustion.alerts(sources))),
        Group("poolscope-causes", causes.alerts(sources)),
        Group("poolscope-connecting", connecting.alerts(sources)),
        Group("poolscope-waiting", waiting.alerts(sources)),
        Group("poolscope-timeouts", (*timeouts.records(sources), *timeouts.alerts(sources))),
        Group("poolscope-usage", usage.alerts(sources)),
        Group("poolscope-servers", servers.alerts(sources)),
        Group("poolscope-blindness", (*blindness.records(), *blindness.alerts(sources))),
    )


def _conditions(sources: Sources) -> tuple[Record, ...]:
    return (*places(), hurt_pools(sources), *leak_records(), paging_pools(sources))


def absent_groups(sources: Sources) -> tuple[Group, ...]:
    """Return the opt-in rule."""
    return (Group("poolscope-absent", (blindness.absent_alert(sources),)),)


def all_alerts(sources: Sources) -> Iterator[Alert]:
    """Yield every alert, the opt-in one too."""
    for group in (*groups(sources), *absent_groups(sources)):
        yield from (rule for rule in group.rules if isinstance(rule, Alert))


def rule_file(all_groups: tuple[Group, ...], sources: Sources) -> Document:
    """Return what a rule file of Prometheus holds."""
    return {"groups": [_group(group, sources) for group in all_groups]}


def _group(group: Group, sources: Sources) -> Document:
    every_s = group.interval_s / sources.pace
    interval = {"interval": duration(every_s)} if every_s else {}
    return {
        "name": group.name,
        **interval,
        "rules": [_rule(rule, sources) for rule in group.rules],
    }


def prometheus_rules(file: Document) -> Iterator[Document]:
    """Yield the same for the Prometheus operator, a resource for each group.

    `kubectl apply` keeps a whole resource in an annotation, which holds 256 KiB.
    """
    for group in file["groups"]:
        yield {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": group["name"], "labels": {"app.kubernetes.io/name": "poolscope"}},
            "spec": {"groups": [group]},
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
            "description": rule.description + details(rule),
            "runbook_url": f"{tuning.runbook_base}/{rule.name}.md",
            "dashboard_url": f"{tuning.dashboard_base}/{dashboard_path(rule)}",
            "page_url": f"{tuning.page_base}/{page_query(rule)}",
        },
    }


def _laid_out(expression: str) -> str:
    """Return the same expression as people read it; ValueError where it is no PromQL."""
    return str(promql_parser.parse(expression).prettify())
