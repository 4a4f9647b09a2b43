"""Each alert fires, stays silent just below, starts again when interrupted, and resolves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import Alert
from poolscope_alerts.prometheus_rules import all_alerts, groups, rule_file
from support.alert_cases import CASES
from support.alert_cases.case import AlertCase, Phase, Stretch, series_of
from support.prometheus.promtool import (
    Alarm,
    Firing,
    Question,
    RuleTest,
    needs_promtool,
    run_rule_tests,
)

EXPECTED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "expected.json").read_text(encoding="utf-8")
)
ALERTS = tuple(all_alerts(load_sources()))
ABSENT = "PoolscopeAbsent"


def alert_of(case: AlertCase) -> Alert:
    return next(
        alert for alert in ALERTS if (alert.name, alert.labels) == (case.alert, case.static)
    )


def group_file(case: AlertCase, folder: Path) -> Path:
    """Write the group of an alert alone: all rules at every step would take seven times as long."""
    sources = load_sources()
    path = folder / "group.yaml"
    found = [group for group in groups(sources) if alert_of(case) in group.rules]
    path.write_text(json.dumps(rule_file(tuple(found), sources)), encoding="utf-8")
    return path


def in_state(case: AlertCase, state: str) -> str:
    static = "".join(f',{key}="{value}"' for key, value in case.static.items())
    return f'ALERTS{{alertname="{case.alert}",alertstate="{state}"{static}}}'


def silent(case: AlertCase, at_s: int) -> Question:
    return Question(at_s, in_state(case, "firing"), 0)


def is_firing(case: AlertCase, at_s: int) -> Question:
    return Question(at_s, in_state(case, "firing"), 1)


def on_s(case: AlertCase) -> int:
    """Return how long the alert needs at its firing level."""
    return case.warm_s + int(alert_of(case).for_s) + 4 * case.step_s


def rising(case: AlertCase) -> list[Stretch]:
    return [(Phase.BELOW, case.before_s), (Phase.FIRING, on_s(case))]


def last_s(case: AlertCase, history: list[Stretch]) -> int:
    return sum(lasts_s for _, lasts_s in history) - case.step_s


def firing(case: AlertCase) -> RuleTest:
    history = rising(case)
    alert = alert_of(case)
    labels = {
        **case.labels,
        **case.static,
        "severity": alert.severity.value,
        "component": alert.component.value,
    }
    early = case.before_s + int(alert.for_s) - case.step_s
    questions = [silent(case, early)] if alert.for_s else []
    alarm = Alarm(last_s(case, history), case.alert, Firing(labels, EXPECTED[case.id]))
    series = series_of(case, history)
    return RuleTest(f"{case.id} fires", case.step_s, series, questions, [alarm])


def just_below(case: AlertCase) -> RuleTest:
    history = [(Phase.BELOW, case.before_s + on_s(case) + 600)]
    questions = [silent(case, last_s(case, history)), silent(case, case.before_s + on_s(case))]
    series = series_of(case, history)
    return RuleTest(f"{case.id} just below", case.step_s, series, questions)


def interrupted(case: AlertCase) -> RuleTest:
    short_s = case.on_s or int(alert_of(case).for_s) - case.step_s
    once: list[Stretch] = [(Phase.BELOW, case.before_s), (Phase.FIRING, short_s)]
    dip: list[Stretch] = [*once, (Phase.QUIET, case.clear_s)]
    twice: list[Stretch] = [*dip, (Phase.FIRING, short_s)]
    questions = [silent(case, last_s(case, history)) for history in (once, dip, twice)]
    pending = Question(last_s(case, once), in_state(case, "pending"), 1)
    series = series_of(case, twice)
    return RuleTest(f"{case.id} interrupted", case.step_s, series, [*questions, pending])


def resolved(case: AlertCase, how: Phase) -> RuleTest:
    history = rising(case)
    keep_s = int(alert_of(case).keep_firing_s)
    gone_s = (300 if how is Phase.MISSING else 0) + case.clear_s + keep_s + 2 * case.step_s
    later: list[Stretch] = [*history, (how, gone_s)]
    questions = [is_firing(case, last_s(case, history)), silent(case, last_s(case, later))]
    if keep_s:
        kept_s = last_s(case, history) + keep_s - case.step_s
        questions.append(is_firing(case, kept_s))
    series = series_of(case, later)
    return RuleTest(f"{case.id} resolves ({how.value})", case.step_s, series, questions)


def missing(case: AlertCase) -> Iterator[RuleTest]:
    history = rising(case)
    question = silent(case, last_s(case, history))
    required = [series for series in case.series if series not in case.optional]
    for without in [(series,) for series in required] + [tuple(case.series)]:
        series = series_of(case, history, without)
        yield RuleTest(f"{case.id} without {without}", case.step_s, series, [question])


def histories_of(case: AlertCase) -> list[RuleTest]:
    found = [firing(case), just_below(case), resolved(case, Phase.BELOW)]
    found += [resolved(case, Phase.MISSING), *missing(case)]
    return [*found, interrupted(case)] if alert_of(case).for_s else found


@needs_promtool
@pytest.mark.parametrize("case", [c for c in CASES if c.alert != ABSENT], ids=lambda case: case.id)
def test_the_alert_fires_when_it_should_and_only_then(case: AlertCase, tmp_path: Path) -> None:
    run_rule_tests(histories_of(case), tmp_path, [group_file(case, tmp_path)])


@needs_promtool
def test_the_alert_on_an_absent_exporter_fires_without_one_and_only_then(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.alert == ABSENT)
    there, gone = (Phase.FIRING, 300), (Phase.MISSING, 900)
    labels = {"severity": "warning", "component": "poolscope"}
    said = Firing(labels, EXPECTED[ABSENT])
    tests = [
        RuleTest("present", 15, series_of(case, [there, there, there]), [silent(case, 800)]),
        RuleTest("never there", 15, {}, [silent(case, 285)], [Alarm(330, ABSENT, said)]),
        RuleTest(
            "goes and comes back",
            15,
            series_of(case, [there, gone, there]),
            # Prometheus remembers a series for five minutes, and `for` is five more.
            [silent(case, 870), is_firing(case, 1185), silent(case, 1215)],
        ),
        RuleTest(
            "interrupted",
            15,
            series_of(
                case, [there, (Phase.MISSING, 540), (Phase.FIRING, 15), (Phase.MISSING, 300)]
            ),
            [silent(case, 825), silent(case, 1140)],
        ),
    ]
    run_rule_tests(tests, tmp_path)


def test_no_alert_lacks_a_history_or_expected_words() -> None:
    rules = {(alert.name, *alert.labels.values()) for alert in ALERTS}
    assert {(case.alert, *case.static.values()) for case in CASES} == rules
    assert set(EXPECTED) == {case.id for case in CASES}


def test_no_history_lacks_any_of_the_questions() -> None:
    for case in CASES:
        if case.alert == ABSENT:
            continue
        names = " ".join(test.name for test in histories_of(case))
        wanted = {"fires", "just below", "resolves (below)", "resolves (missing)", "without"}
        wanted |= {"interrupted"} if alert_of(case).for_s else set()
        assert {each for each in wanted if each not in names} == set()


def test_every_expected_word_is_a_word_and_not_a_template() -> None:
    for words in EXPECTED.values():
        assert set(words) == {"summary", "description", "runbook_url", "dashboard_url"}
        text = json.dumps(words)
        assert "{{" not in text
        assert "<no value>" not in text
