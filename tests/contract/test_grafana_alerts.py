"""Grafana's rules are the alerts, in the form that its provisioning reads; no server read them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import ABSENT_FOR_GRAFANA, FOLDER, FOR_GRAFANA, load_sources
from poolscope_alerts.grafana_rules import DATA_SOURCE, title, translated, uid, written_out
from poolscope_alerts.grafana_rules import FOLDER as GRAFANA_FOLDER
from poolscope_alerts.model import Alert, Record
from poolscope_alerts.prometheus_rules import all_alerts, groups
from poolscope_alerts.promql import duration
from support.documents.markdown import blocks, commands
from support.documents.yaml_files import read_yaml
from support.prometheus.promql_names import problems

ROOT = FOLDER.parent
PROVISIONING = ROOT / "dashboards" / "provisioning"
SOURCES = load_sources()
ALERTS = tuple(all_alerts(SOURCES))
RECORDED = [rule.name for g in groups(SOURCES) for rule in g.rules if isinstance(rule, Record)]
RULE_KEYS = {
    "uid", "title", "condition", "data", "noDataState", "execErrState", "for", "keepFiringFor",
    "missing_series_evals_to_resolve", "annotations", "labels",
}  # fmt: skip
TEMPLATE_WORDS = {"humanizeDuration", "humanizePercentage", "printf", "urlquery"}
"""Functions that Grafana's templates have too."""


GROUPS: list[dict[str, Any]] = [
    group
    for name in (FOR_GRAFANA, ABSENT_FOR_GRAFANA)
    for group in read_yaml(FOLDER / name)["groups"]
]
RULES = {rule["uid"]: rule for group in GROUPS for rule in group["rules"]}
PAIRS = tuple((alert, RULES.get(uid(alert), {})) for alert in ALERTS)
each_rule = pytest.mark.parametrize(("alert", "rule"), PAIRS, ids=[uid(alert) for alert in ALERTS])


def templates(rule: dict[str, Any]) -> Iterator[str]:
    for text in rule["annotations"].values():
        found = (each.strip().removeprefix("if ") for each in re.findall(r"\{\{(.*?)\}\}", text))
        yield from (each for each in found if each not in {"else", "end"})


def test_every_alert_is_a_rule_of_grafana_and_every_rule_an_alert() -> None:
    assert list(RULES) == [uid(alert) for alert in ALERTS]
    assert sum(len(group["rules"]) for group in GROUPS) == len(ALERTS)


def test_the_document_says_how_many_rules_grafana_should_have_read() -> None:
    text = (ROOT / "docs" / "grafana.md").read_text(encoding="utf-8")
    assert f"how many rules were read: {len(ALERTS) - 1}, or {len(ALERTS)} with" in text


def test_what_grafana_wants_unique_is_unique() -> None:
    assert len({title(alert) for alert in ALERTS}) == len(ALERTS)
    assert len({group["name"] for group in GROUPS}) == len(GROUPS)
    for found in RULES:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", found)


def test_a_group_is_looked_at_as_often_as_grafana_can() -> None:
    for group in GROUPS:
        assert set(group) == {"orgId", "name", "folder", "interval", "rules"}
        assert (group["orgId"], group["folder"]) == (1, GRAFANA_FOLDER)
        assert group["interval"] == "1m"  # a multiple of ten seconds


@each_rule
def test_a_rule_has_what_grafana_reads_and_says_when_nothing_was_found(
    alert: Alert, rule: dict[str, Any]
) -> None:
    assert set(rule) == RULE_KEYS
    assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")
    lasting = (alert.for_s, alert.keep_firing_s)
    written = [duration(each) if each else "0s" for each in lasting]
    assert [rule["for"], rule["keepFiringFor"]] == written
    assert rule["missing_series_evals_to_resolve"] == 1
    static = {"severity": alert.severity.value, "component": alert.component.value}
    assert rule["labels"] == {**static, **alert.labels}


@each_rule
def test_the_condition_asks_whether_there_is_a_number_and_not_how_large_it_is(
    alert: Alert, rule: dict[str, Any]
) -> None:
    asked, number, condition = rule["data"]
    assert rule["condition"] == condition["refId"] == "C"
    assert condition["model"]["expression"] == "is_nan($B) == 0"
    assert (number["refId"], number["model"]["expression"]) == ("B", "A")
    assert [each["model"]["refId"] for each in rule["data"]] == ["A", "B", "C"]
    assert asked["datasourceUid"] == asked["model"]["datasource"]["uid"] == DATA_SOURCE
    assert (asked["model"]["instant"], asked["model"]["range"]) == (True, False)
    assert asked["relativeTimeRange"]["from"] > asked["relativeTimeRange"]["to"] == 0


@each_rule
def test_a_query_is_promql_of_known_series_and_needs_no_recording_rule(
    alert: Alert, rule: dict[str, Any]
) -> None:
    asked = rule["data"][0]["model"]["expr"]
    assert problems(asked) == []
    assert not [name for name in RECORDED if name in asked]


@each_rule
def test_words_are_templates_of_grafana(alert: Alert, rule: dict[str, Any]) -> None:
    links = {"runbook_url", "dashboard_url", "page_url"}
    assert set(rule["annotations"]) == {"summary", "description", *links}
    assert not re.search(r"\$value\b", str(rule["annotations"]))
    for template in templates(rule):
        variable, *pipes = (part.strip() for part in template.split("|"))
        label = re.fullmatch(r"\$labels\.(\w+)", variable)
        assert label[1] in alert.about if label else variable == "$values.B.Value"
        assert {pipe.split()[0] for pipe in pipes} <= TEMPLATE_WORDS


@each_rule
def test_grafana_replaces_no_variable_of_the_environment(
    alert: Alert, rule: dict[str, Any]
) -> None:
    """It does so in all that it reads but queries; in annotations, where braces stand."""
    assert "${" not in str(rule["annotations"])
    outside = {key: rule[key] for key in RULE_KEYS - {"annotations", "data"}}
    assert "$" not in str(outside)


def test_a_value_is_translated_and_a_label_is_not() -> None:
    assert translated("{{ $labels.x }}: {{ $value | humanize }}, {{ $values.A.Value }}") == (
        "{{ $labels.x }}: {{ $values.B.Value | humanize }}, {{ $values.A.Value }}"
    )


def test_what_is_recorded_is_written_out_by_its_whole_name() -> None:
    recorded = {"a:b:rate1h": "x", "a:b:rate1": "y"}
    assert written_out("a:b:rate1h > a:b:rate1 > a:b:rate10", recorded) == "(x) > (y) > a:b:rate10"
    assert written_out("up", {}) == "up"


def test_a_range_over_what_is_recorded_becomes_a_subquery_also_where_a_record_reads_another() -> (
    None
):
    recorded = {"a:b:c": "x", "d:e:f": "sum(a:b:c)"}
    assert written_out("rate(d:e:f[5m])", recorded) == "rate((sum((x)))[5m:])"


def test_every_recorded_ratio_is_read_somewhere() -> None:
    records = {r.name for group in groups(SOURCES) for r in group.rules if isinstance(r, Record)}
    assert records
    assert {name for name in records if any(name in each.expression for each in ALERTS)} == records


def test_the_rules_ask_the_data_source_that_is_provisioned() -> None:
    (found,) = read_yaml(PROVISIONING / "datasources" / "poolscope.yaml")["datasources"]
    assert (found["uid"], found["type"], found["access"]) == (DATA_SOURCE, "prometheus", "proxy")


def test_the_rules_ask_another_data_source_after_the_documented_command(tmp_path: Path) -> None:
    rules = tmp_path / Path(FOR_GRAFANA).name
    shutil.copy(FOLDER / FOR_GRAFANA, rules)
    (typed,) = (
        command.typed
        for block in blocks(ROOT / "docs" / "grafana.md")
        for command in commands(block)
        if command.typed.startswith("sed ")
    )
    subprocess.run(typed.replace("YOUR-UID", "mine"), shell=True, cwd=tmp_path, check=True)
    asked = [rule["data"][0] for group in read_yaml(rules)["groups"] for rule in group["rules"]]
    uids = {each["datasourceUid"] for each in asked}
    uids |= {each["model"]["datasource"]["uid"] for each in asked}
    assert uids == {"mine"}


def test_dashboards_come_from_files_into_the_folder_of_the_alerts() -> None:
    (found,) = read_yaml(PROVISIONING / "dashboards" / "poolscope.yaml")["providers"]
    assert (found["folder"], found["type"]) == (GRAFANA_FOLDER, "file")
    assert found["allowUiUpdates"] is False
    assert Path(found["options"]["path"]).is_absolute()
