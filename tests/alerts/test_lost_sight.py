"""What is not seen any more stays reported: a lost exporter, and a service that fell silent."""

import json
from pathlib import Path

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.prometheus_rules import groups, rule_file
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.alert_cases.of_servers import SERVER
from support.alert_cases.of_sight import SERVICE
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

STEP_S = 60
HOUR = 60


def exporter(number: int) -> dict[str, str]:
    return {"job": "poolscope", "instance": f"10.0.0.{number}:9736"}


def role(number: int, name: str = "standalone") -> str:
    return labelled(own.EXPORTER_ROLE.name, exporter(number), role=name)


def up(number: int) -> str:
    return labelled(own.SERVER_UP.name, exporter(number), **SERVER)


def age(number: int, process: str = "a1") -> str:
    labels = {**SERVICE, **exporter(number)}
    return labelled(own.INSTANCE_LAST_PUSH_AGE.name, labels, service_instance_id=process)


def run(series: dict[str, str], alert: str, asked: dict[int, int], folder: Path) -> None:
    """Ask by minute how many alerts of a name fire."""
    found = [group for group in groups(load_sources()) if group.name == "poolscope-blindness"]
    path = folder / "group.yaml"
    path.write_text(json.dumps(rule_file(tuple(found), load_sources())), encoding="utf-8")
    firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    questions = [Question(minute * STEP_S, firing, count) for minute, count in asked.items()]
    run_rule_tests([RuleTest(alert, STEP_S, series, questions)], folder, [path])


def lost(series: dict[str, str], asked: dict[int, int], folder: Path) -> None:
    run(series, "PoolscopeExporterLost", asked, folder)


ALWAYS = f"1x{6 * HOUR}"
AN_HOUR = f"1x{HOUR} stale"
TWO_EXPORTERS = {role(1): AN_HOUR, role(2): ALWAYS}


@needs_promtool
def test_the_servers_of_a_lost_exporter_are_reported_until_another_one_polls_them(
    tmp_path: Path,
) -> None:
    series = TWO_EXPORTERS | {up(1): AN_HOUR, up(2): f"_x{4 * HOUR} 1x{HOUR}"}
    lost(series, {HOUR: 0, HOUR + 5: 1, 4 * HOUR - 1: 1, 4 * HOUR + 2: 0}, tmp_path)


@needs_promtool
def test_a_server_that_another_exporter_polls_too_is_not_reported(tmp_path: Path) -> None:
    lost(TWO_EXPORTERS | {up(1): AN_HOUR, up(2): ALWAYS}, {HOUR + 5: 0, 2 * HOUR: 0}, tmp_path)


@needs_promtool
def test_the_services_of_a_lost_exporter_are_reported(tmp_path: Path) -> None:
    series = TWO_EXPORTERS | {age(1): f"3x{HOUR} stale"}
    lost(series, {HOUR: 0, HOUR + 5: 1, 3 * HOUR: 1}, tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    "others",
    [
        pytest.param({role(1): ALWAYS, role(2): ALWAYS}, id="its exporter is there"),
        pytest.param(
            {role(1, "sidecar"): AN_HOUR, role(2): ALWAYS}, id="its sidecar ended with its pod"
        ),
        pytest.param(
            {role(1): ALWAYS, role(2): f"_x{HOUR - 20} 1x3 stale"}, id="a rollout of the exporter"
        ),
    ],
)
def test_a_service_that_ended_is_not_reported(others: dict[str, str], tmp_path: Path) -> None:
    series = others | {age(1): f"3x{HOUR} stale"}
    lost(series, {HOUR + 5: 0, 2 * HOUR: 0}, tmp_path)


def silent(series: dict[str, str], asked: dict[int, int], folder: Path) -> None:
    run(series, "PoolscopeServiceSilent", asked, folder)


FALLS_SILENT = f"3x{HOUR} 60+60x9 stale"
"""After ten minutes without a push the exporter drops the process."""


@needs_promtool
def test_a_silent_service_is_reported_after_the_exporter_dropped_it(tmp_path: Path) -> None:
    silent({age(1): FALLS_SILENT}, {HOUR: 0, HOUR + 6: 1, HOUR + 20: 1, 5 * HOUR: 1}, tmp_path)


@needs_promtool
def test_a_push_ends_the_report(tmp_path: Path) -> None:
    series = {age(1): FALLS_SILENT, age(1, "a2"): f"_x{2 * HOUR} 3x{HOUR}"}
    silent(series, {2 * HOUR - 1: 1, 2 * HOUR + 1: 0}, tmp_path)


@needs_promtool
def test_a_service_that_shuts_down_cleanly_after_one_of_its_processes_crashed_is_not_reported(
    tmp_path: Path,
) -> None:
    series = {age(1): FALLS_SILENT, age(1, "a2"): f"3x{2 * HOUR} stale"}
    silent(series, dict.fromkeys((HOUR + 6, 2 * HOUR, 2 * HOUR + 5, 3 * HOUR), 0), tmp_path)
