"""Runs promtool's unit tests of rules: histories are written as series, and asked at instants."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import ABSENT, FOLDER, RULES, load_sources
from poolscope_alerts.prometheus_rules import groups

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and "CI" not in os.environ,
    reason="promtool is not installed (Debian's package prometheus); CI has it",
)


@dataclass(frozen=True)
class Firing:
    """An alert that must fire, with everything that it says."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """What is asked at an instant: an expression that must find nothing, or so many series."""

    at_s: int
    expression: str
    count: int


@dataclass(frozen=True)
class Alarm:
    """An alert that is looked up at an instant; None must not fire."""

    at_s: int
    name: str
    firing: Firing | None


@dataclass(frozen=True)
class RuleTest:
    """One test of promtool: series with their values, and what is asked."""

    name: str
    step_s: int
    series: Mapping[str, str]
    questions: Sequence[Question] = ()
    alarms: Sequence[Alarm] = ()


SHIPPED = (FOLDER / RULES, FOLDER / ABSENT)
ORDER = [group.name for group in groups(load_sources())]
"""All groups: to promtool, one that is not in the list comes as early as the first one in it."""


def run_rule_tests(
    tests: Sequence[RuleTest], folder: Path, rules: Sequence[Path] = SHIPPED
) -> None:
    """Fail with what promtool objects to."""
    document = {
        "rule_files": [str(path) for path in rules],
        "evaluation_interval": f"{tests[0].step_s}s",
        "group_eval_order": ORDER,
        "tests": [_test(test) for test in tests],
    }
    path = folder / "tests.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def _test(test: RuleTest) -> dict[str, Any]:
    return {
        "name": test.name,
        "interval": f"{test.step_s}s",
        "input_series": [
            {"series": series, "values": values} for series, values in test.series.items()
        ],
        "alert_rule_test": [_alarm(alarm) for alarm in test.alarms],
        "promql_expr_test": [_question(question) for question in test.questions],
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    expected = [] if alarm.firing is None else [alarm.firing]
    return {
        "eval_time": f"{alarm.at_s}s",
        "alertname": alarm.name,
        "exp_alerts": [
            {"exp_labels": dict(each.labels), "exp_annotations": dict(each.annotations)}
            for each in expected
        ],
    }


def _question(question: Question) -> dict[str, Any]:
    found = [{"labels": "{}", "value": question.count}] if question.count else []
    return {
        "expr": f"count({question.expression})",
        "eval_time": f"{question.at_s}s",
        "exp_samples": found,
    }
