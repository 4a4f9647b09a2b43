"""Prometheus's and Alertmanager's own tools find nothing wrong with what is in alerts/."""

from pathlib import Path

import pytest

from support.documents.rendering import ROOT, built, operator_objections, output, rule_objections

ALERTS = ROOT / "alerts"
RULES = sorted(ALERTS.glob("*.rules.yaml"))
WRONG = {
    "duplicate": """
      - {alert: A, expr: up == 0}
      - {alert: A, expr: up == 0}
    """,
    "syntax": """
      - {alert: A, expr: "up === 0"}
    """,
    "template": """
      - {alert: A, expr: up == 0, annotations: {summary: "{{ $labels.job }"}}
    """,
    "field": """
      - {alert: A, expr: up == 0, four: 5m}
    """,
}


def test_promtools_lint_has_nothing_to_say() -> None:
    assert len(RULES) == 2
    assert rule_objections(RULES) == ""


@pytest.mark.parametrize("rules", WRONG.values(), ids=WRONG)
def test_a_wrong_rule_would_be_objected_to(rules: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.rules.yaml"
    path.write_text(f"groups:\n  - name: wrong\n    rules:{rules}", encoding="utf-8")
    assert rule_objections([path])


def test_the_operators_form_is_valid_by_its_models() -> None:
    assert operator_objections(built(ALERTS)) == ""


def test_amtool_takes_the_example_for_alertmanager() -> None:
    assert "SUCCESS" in output("amtool", "check-config", str(ALERTS / "alertmanager.yaml"))
