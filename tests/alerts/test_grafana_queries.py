"""What Grafana asks Prometheus finds something when the alert should fire, and nothing below."""

from pathlib import Path

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.grafana_rules import alert_file, uid
from poolscope_alerts.prometheus_rules import absent_groups, all_alerts, groups
from support.alert_cases import CASES
from support.alert_cases.case import AlertCase, Phase, Stretch, series_of
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

SOURCES = load_sources()
ALERTS = {(alert.name, *alert.labels.values()): alert for alert in all_alerts(SOURCES)}
RULES = {
    rule["uid"]: rule
    for each in (groups(SOURCES), absent_groups(SOURCES))
    for group in alert_file(each, SOURCES)["groups"]
    for rule in group["rules"]
}
ABSENT = "PoolscopeAbsent"


def query_of(name: str, *labels: str) -> str:
    rule = RULES[uid(ALERTS[name, *labels])]
    return str(rule["data"][0]["model"]["expr"])


def asked_at_the_end(case: AlertCase, history: list[Stretch], found: int) -> RuleTest:
    at_s = sum(lasts_s for _, lasts_s in history) - case.step_s
    question = Question(at_s, query_of(case.alert, *case.static.values()), found)
    phases = " ".join(phase.value for phase, _ in history)
    return RuleTest(f"{case.id} {phases}", case.step_s, series_of(case, history), [question])


@needs_promtool
@pytest.mark.parametrize("case", [c for c in CASES if c.alert != ABSENT], ids=lambda case: case.id)
def test_a_query_finds_one_series_where_the_alert_fires_and_none_below(
    case: AlertCase, tmp_path: Path
) -> None:
    """Nothing is loaded that records: what Grafana asks must stand on its own."""
    firing_s = case.warm_s + int(ALERTS[case.alert, *case.static.values()].for_s) + 4 * case.step_s
    below: Stretch = (Phase.BELOW, case.before_s)
    tests = [
        asked_at_the_end(case, [below, (Phase.FIRING, firing_s)], 1),
        asked_at_the_end(case, [below, (Phase.BELOW, firing_s)], 0),
    ]
    run_rule_tests(tests, tmp_path, rules=())


@needs_promtool
def test_the_query_for_an_absent_exporter_finds_something_without_one_alone(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.alert == ABSENT)
    tests = [
        asked_at_the_end(case, [(Phase.MISSING, 600)], 1),
        asked_at_the_end(case, [(Phase.FIRING, 600)], 0),
    ]
    run_rule_tests(tests, tmp_path, rules=())
