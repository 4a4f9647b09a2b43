"""Slow growth is reported early: a young pool that fills, and time-outs at the acceptable ratio."""

import json
from collections.abc import Callable
from pathlib import Path

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.prometheus_rules import CONDITIONS, groups, rule_file
from support.alert_cases.of_pools import CHECKOUTS, FAILED, MAX, TIMEOUTS, USED
from support.alert_cases.traffic import text
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

STEP_S = 15
MINUTE = 60 // STEP_S


def run(
    group: str,
    series: dict[str, str],
    alert: str,
    asked: dict[int, int],
    folder: Path,
    *,
    step_s: int = STEP_S,
) -> None:
    """Ask by minute how many alerts of a selector fire."""
    found = [each for each in groups(load_sources()) if each.name in (CONDITIONS, group)]
    path = folder / "group.yaml"
    path.write_text(json.dumps(rule_file(tuple(found), load_sources())), encoding="utf-8")
    firing = f'ALERTS{{alertstate="firing",{alert}}}'
    questions = [Question(minute * 60, firing, count) for minute, count in asked.items()]
    run_rule_tests([RuleTest(alert, step_s, series, questions)], folder, [path])


def predicted(used: Callable[[int], int], asked: dict[int, int], folder: Path) -> None:
    """Ask by minute about a pool of a hundred that is used like this, by step."""
    series = {USED: text([used(step) for step in range(40 * MINUTE)]), MAX: f"100x{40 * MINUTE}"}
    name = 'alertname="PoolExhaustionPredicted"'
    run("poolscope-exhaustion", series, name, asked, folder)


@needs_promtool
def test_a_pool_that_fills_is_reported_before_its_process_is_half_an_hour_old(
    tmp_path: Path,
) -> None:
    """It begins with 40 and takes two more each minute: full after thirty."""
    predicted(lambda step: 40 + 2 * step // MINUTE, {16: 0, 18: 1, 29: 1}, tmp_path)


@needs_promtool
def test_a_young_pool_that_filled_in_its_first_minutes_and_stays_is_not_reported(
    tmp_path: Path,
) -> None:
    never = dict.fromkeys(range(12, 36, 2), 0)
    predicted(lambda step: min(60, 10 * step // MINUTE) + step % 3, never, tmp_path)


@needs_promtool
def test_bursts_of_a_young_pool_are_no_growth(tmp_path: Path) -> None:
    """Its use goes up to 90 ever more often, and always comes back."""
    never = dict.fromkeys(range(12, 30, 2), 0)
    predicted(lambda step: 90 if step % MINUTE < 1 + step // (8 * MINUTE) else 50, never, tmp_path)


LONG_STEP_S = 60
HEALTHY = 6 * 60
"""Minutes before the first time-out: a long window has little of them at first."""


def steady(share: float) -> dict[str, str]:
    """Return hours of healthy traffic, then an hour with a share of time-outs, by the minute."""
    per_step = 1000 * share
    timed_out = f"0x{HEALTHY} {per_step:g}+{per_step:g}x60"
    minutes = HEALTHY + 60
    series = {CHECKOUTS: f"0+1000x{minutes}", TIMEOUTS: timed_out, FAILED: timed_out}
    return series | {USED: f"3x{minutes}"}


def burning(share: float, severity: str, asked: dict[int, int], folder: Path) -> None:
    """Ask so many minutes after the first time-out."""
    alert = f'alertname="PoolTimeoutBudgetBurn",severity=~"{severity}"'
    later = {HEALTHY + minute: count for minute, count in asked.items()}
    run("poolscope-timeouts", steady(share), alert, later, folder, step_s=LONG_STEP_S)


@needs_promtool
def test_half_a_percent_of_time_outs_is_information_within_the_hour(tmp_path: Path) -> None:
    burning(0.005, "info", {0: 0, 40: 1}, tmp_path)
    burning(0.005, "warning|critical", {60: 0}, tmp_path)


@needs_promtool
def test_time_outs_that_page_are_not_information_too(tmp_path: Path) -> None:
    burning(0.03, "info", {60: 0}, tmp_path)
    burning(0.03, "critical", {60: 1}, tmp_path)
