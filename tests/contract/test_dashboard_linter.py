"""Grafana's dashboard-linter has nothing to say of our dashboards, and would say it if it had."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import FOLDER
from support.dashboard_linter import RULES, lint
from support.dashboard_linter.dashboard import Dashboard, targets
from support.dashboard_linter.exclusions import (
    Exclusion,
    needless,
    not_excluded,
    read_exclusions,
)
from support.dashboard_linter.promql import parsed, selectors
from support.prometheus.promql_names import known_series

DASHBOARDS = FOLDER.parent / "dashboards"
SHIPPED: dict[str, Dashboard] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(DASHBOARDS.glob("*.json"))
}
EXCLUSIONS = read_exclusions(DASHBOARDS / ".lint") if (DASHBOARDS / ".lint").exists() else []
FINDINGS = [finding for dashboard in SHIPPED.values() for finding in lint(dashboard)]
MAY_BE_EXCLUDED = {"target-job-rule", "target-instance-rule"}
OF_APPLICATIONS = "service_name"
"""A series with this label comes over either transport, and `job` is another thing on each."""

MATCHED = '{job=~"$job", instance=~"$instance"}'

Change = Callable[[Any], None]


def a_dashboard() -> Any:
    """Return a small dashboard that no rule objects to."""
    source = {"type": "prometheus", "uid": "$datasource"}
    own = {"type": "query", "multi": True, "allValue": ".+", "refresh": 2, "datasource": source}
    return {
        "title": "Orders",
        "editable": False,
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Data source"},
                own | {"name": "job", "label": "Job", "query": "label_values(up, job)"},
                own
                | {
                    "name": "instance",
                    "label": "Instance",
                    "query": {"query": 'label_values(up{job=~"$job"}, instance)', "refId": "a"},
                },
            ]
        },
        "panels": [
            {"type": "row", "id": 1, "title": "Traffic", "panels": []},
            {
                "type": "timeseries",
                "id": 2,
                "title": "Check-outs",
                "description": "How many a second.",
                "datasource": source,
                "fieldConfig": {"defaults": {"unit": "ops"}, "overrides": []},
                "targets": [
                    {"expr": f"rate(poolscope_checkouts_total{MATCHED}[$__rate_interval])"}
                ],
            },
        ],
    }


def panel(dashboard: Any) -> Any:
    return dashboard["panels"][1]


def asks(expression: str) -> Change:
    def change(dashboard: Any) -> None:
        panel(dashboard)["targets"] = [{"expr": expression}]

    return change


def changes(part: Callable[[Any], Any], **values: Any) -> Change:
    return lambda dashboard: part(dashboard).update(values)


def another_data_source(dashboard: Any) -> None:
    another = {"type": "datasource", "name": "prometheus", "label": "Data source"}
    dashboard["templating"]["list"].append(another)


def variable(index: int) -> Callable[[Any], Any]:
    return lambda dashboard: dashboard["templating"]["list"][index]


BROKEN: list[tuple[str, Change]] = [
    ("template-datasource-rule", another_data_source),
    ("template-datasource-rule", changes(variable(0), label="datasource")),
    ("template-job-rule", changes(variable(1), multi=False)),
    ("template-job-rule", changes(variable(1), name="service")),
    ("template-job-rule", changes(variable(1), datasource={"uid": "fixed"})),
    ("template-instance-rule", changes(variable(2), allValue=".*")),
    ("template-instance-rule", changes(variable(2), label="instance")),
    ("template-label-promql-rule", changes(variable(1), query="label_value(up, job)")),
    ("template-label-promql-rule", changes(variable(1), query="label_values(up{, job)")),
    ("template-label-promql-rule", changes(variable(2), query={"query": "up"})),
    ("template-on-time-change-reload-rule", changes(variable(1), refresh=1)),
    ("uneditable-dashboard", changes(lambda dashboard: dashboard, editable=True)),
    ("panel-datasource-rule", changes(panel, datasource={"type": "prometheus", "uid": "fixed"})),
    ("panel-datasource-rule", changes(panel, datasource=None)),
    ("panel-title-description-rule", changes(panel, description="")),
    ("panel-title-description-rule", changes(panel, title="")),
    ("panel-units-rule", changes(panel, fieldConfig={"defaults": {}})),
    ("panel-units-rule", changes(panel, fieldConfig={"defaults": {"unit": "seconds"}})),
    ("panel-no-targets-rule", changes(panel, targets=[])),
    ("target-promql-rule", asks("sum(")),
    ("target-promql-rule", asks(f"rate(up{MATCHED})")),
    ("target-promql-rule", asks("")),
    ("target-rate-interval-rule", asks(f"rate(a_total{MATCHED}[5m])")),
    ("target-rate-interval-rule", asks(f"rate(a_total{MATCHED}[$__interval])")),
    ("target-job-rule", asks('up{instance=~"$instance"}')),
    ("target-job-rule", asks('up{job="$job", instance=~"$instance"}')),
    ("target-instance-rule", asks(f'up{MATCHED} + up{{job=~"$job"}}')),
    ("target-counter-agg-rule", asks(f"a_total{MATCHED} > 0")),
    ("target-counter-agg-rule", asks(f"delta(a_total{MATCHED}[$__rate_interval])")),
    ("target-logql-rule", changes(panel, datasource={"type": "loki", "uid": "$datasource"})),
    ("target-logql-auto-rule", changes(panel, datasource={"type": "loki", "uid": "$datasource"})),
]


def rules_broken(dashboard: Dashboard) -> set[str]:
    return {finding.rule for finding in lint(dashboard)}


def test_the_rules_are_the_seventeen_of_the_linter_and_each_can_fail() -> None:
    assert len(RULES) == 17
    assert {rule for rule, _ in BROKEN} == set(RULES)
    assert lint(a_dashboard()) == []


@pytest.mark.parametrize(("rule", "change"), BROKEN)
def test_a_broken_dashboard_is_told_of(rule: str, change: Change) -> None:
    dashboard = a_dashboard()
    change(dashboard)
    together = {"target-logql-rule", "target-logql-auto-rule"}
    wanted = together if rule in together else {rule}
    assert rules_broken(dashboard) == wanted


@pytest.mark.parametrize(
    "change",
    [
        asks(f"increase(a_total{MATCHED}[$__range])"),
        asks(f"topk($most, up{MATCHED})"),
        asks(f"poolscope_leaks_total{MATCHED} > 0"),
        asks(f"rate(a_total{MATCHED}[${{__rate_interval}}])"),
        changes(panel, fieldConfig={"defaults": {"mappings": [{"type": "value"}]}}),
        changes(panel, type="stat", fieldConfig={}, options={"reduceOptions": {"fields": "/x/"}}),
        changes(panel, type="text", targets=[], datasource=None, fieldConfig={}, description=""),
    ],
)
def test_what_is_right_is_not_told_of(change: Change) -> None:
    dashboard = a_dashboard()
    five = {"type": "custom", "name": "most", "current": {"value": "5"}}
    dashboard["templating"]["list"].append(five)
    change(dashboard)
    assert lint(dashboard) == []


def test_a_panel_in_a_collapsed_row_is_looked_at_too() -> None:
    dashboard = a_dashboard()
    dashboard["panels"][0]["panels"] = [dashboard["panels"].pop() | {"title": ""}]
    assert rules_broken(dashboard) == {"panel-title-description-rule"}


def test_a_target_may_show_what_another_panel_asked() -> None:
    dashboard = a_dashboard()
    again = {"targets": [{"panelId": 2}], "id": 3}
    dashboard["panels"].append(dashboard["panels"][1] | again)
    assert lint(dashboard) == []
    dashboard["panels"][2]["targets"] = [{"panelId": 9}]
    assert rules_broken(dashboard) == {"target-promql-rule"}


def lint_file(folder: Path, text: str) -> list[Exclusion]:
    path = folder / ".lint"
    path.write_text(text, encoding="utf-8")
    return read_exclusions(path)


def test_an_exclusion_covers_what_it_names_alone(tmp_path: Path) -> None:
    dashboard = a_dashboard()
    asks("up")(dashboard)
    found = lint(dashboard)
    assert len(found) == 2
    entry = "{dashboard: Orders, panel: Check-outs, targetIdx: 0}"
    exclusions = lint_file(
        tmp_path, f"exclusions: {{target-job-rule: {{reason: r, entries: [{entry}]}}}}"
    )
    assert {each.rule for each in not_excluded(found, exclusions)} == {"target-instance-rule"}
    assert needless(found, exclusions) == []
    assert needless([], exclusions) == exclusions
    assert exclusions[0].reason == "r"


def test_a_rule_cannot_be_softened_to_a_warning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="warnings"):
        lint_file(tmp_path, "warnings: {target-job-rule: }")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_linter_has_nothing_to_say_of_a_dashboard(name: str) -> None:
    assert not_excluded(lint(SHIPPED[name]), EXCLUSIONS) == []


def test_what_is_excluded_is_allowed_to_be_has_a_reason_and_is_still_found() -> None:
    for exclusion in EXCLUSIONS:
        assert exclusion.rule in MAY_BE_EXCLUDED
        assert exclusion.reason
        assert exclusion.dashboard
        assert exclusion.panel
    assert needless(FINDINGS, EXCLUSIONS) == []


@pytest.mark.parametrize("name", SHIPPED)
def test_only_series_of_applications_go_without_job_and_instance(name: str) -> None:
    dashboard = SHIPPED[name]
    for target in targets(dashboard):
        for selector in selectors(parsed(target.expression, dashboard)):
            matched = {each.name for each in selector.matchers.matchers}
            of_application = OF_APPLICATIONS in known_series().get(str(selector.name), ())
            where = (target.panel["title"], target.index, str(selector))
            assert of_application or {"job", "instance"} <= matched, where
