"""DatabaseDown needs both signs: polls without an answer, and pools that cannot connect."""

import json
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import Group
from poolscope_alerts.prometheus_rules import rule_file
from poolscope_alerts.promql import KIND
from poolscope_alerts.servers import alerts
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.of_pools import POOL, TIMEOUTS, of
from support.alert_cases.of_servers import LEADS_HERE, UP
from support.alert_cases.of_servers import of as of_server
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

NAME = "DatabaseDown"
STEP_S = 15
BEFORE, DURING, AFTER = 20, 20, 20
FIRING = f'ALERTS{{alertname="{NAME}",alertstate="firing"}}'


def polls(reason: str) -> dict[str, str]:
    """Return a server without an answer in the middle of the history, and why."""
    up = f"1+0x{BEFORE - 1} 0+0x{DURING - 1} 1+0x{AFTER - 1}"
    failures = of_server(own.POLL_FAILURES, reason=reason)
    return {UP: up, failures: counted()}


def counted(growth: int = 1) -> str:
    """Return a counter that grows while the server is down."""
    total = growth * DURING
    return f"0+0x{BEFORE - 1} {growth}+{growth}x{DURING - 1} {total}+0x{AFTER - 1}"


def connects(kind: str) -> dict[str, str]:
    return {of(wire.CONNECT_ERRORS, **{KIND: kind}): counted()}


LEADING = {LEADS_HERE: f"1+0x{BEFORE + DURING + AFTER}"}
HEALTHY = {UP: f"1+0x{BEFORE + DURING + AFTER}"}


def run(series: dict[str, str], asked: dict[int, int], folder: Path) -> None:
    """Ask by step how many alerts fire."""
    rules = tuple(each for each in alerts(load_sources()) if each.name == NAME)
    path = folder / "group.yaml"
    path.write_text(json.dumps(rule_file((Group("down", rules),), load_sources())))
    questions = [Question(step * STEP_S, FIRING, count) for step, count in asked.items()]
    run_rule_tests([RuleTest(NAME, STEP_S, series, questions)], folder, [path])


@needs_promtool
def test_a_server_that_is_down_pages_within_45_s_and_no_longer_than_90_s_after(
    tmp_path: Path,
) -> None:
    series = polls("refused") | connects("refused") | LEADING
    back = BEFORE + DURING
    run(series, {BEFORE - 1: 0, BEFORE + 3: 1, back - 1: 1, back + 6: 0}, tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    "series",
    [
        pytest.param(polls("refused") | LEADING, id="only polls fail"),
        pytest.param(HEALTHY | connects("refused") | LEADING, id="only pools fail"),
        pytest.param(
            polls("authentication") | connects("refused") | LEADING, id="the exporter's password"
        ),
        pytest.param(
            polls("refused") | connects("authentication") | LEADING, id="the application's password"
        ),
        pytest.param(polls("refused") | connects("refused"), id="the pool leads elsewhere"),
        pytest.param(
            polls("refused") | {TIMEOUTS: counted()} | LEADING, id="pools that are only full"
        ),
    ],
)
def test_one_sign_alone_pages_nobody(series: dict[str, str], tmp_path: Path) -> None:
    run(series, dict.fromkeys(range(BEFORE, BEFORE + DURING), 0), tmp_path)


@needs_promtool
def test_a_host_that_hangs_is_down_though_nothing_refuses(tmp_path: Path) -> None:
    run(polls("timeout") | {TIMEOUTS: counted()} | LEADING, {BEFORE + 10: 1}, tmp_path)


@needs_promtool
def test_one_failed_poll_between_two_good_ones_pages_nobody(tmp_path: Path) -> None:
    series = polls("refused") | connects("refused") | LEADING
    series[UP] = f"1+0x{BEFORE} 0 1+0x{AFTER + DURING}"
    run(series, dict.fromkeys(range(BEFORE, BEFORE + 10), 0), tmp_path)


@needs_promtool
def test_another_exporter_that_reaches_the_server_keeps_it_up(tmp_path: Path) -> None:
    other = UP.replace("10.0.0.7", "10.0.0.8")
    assert other != UP
    series = polls("refused") | connects("refused") | LEADING
    run(series | {other: HEALTHY[UP]}, {BEFORE + 10: 0}, tmp_path)


def test_the_alert_is_about_the_server_and_not_one_of_its_pools() -> None:
    [down] = [each for each in alerts(load_sources()) if each.name == NAME]
    assert set(down.about).isdisjoint(POOL)
