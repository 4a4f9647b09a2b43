"""Each alert fires, stays silent just below, starts again when interrupted, and resolves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.model import Alert, Component
from poolscope_alerts.prometheus_rules import CONDITIONS, all_alerts, groups, rule_file
from poolscope_alerts.texts.details import COUNTED
from poolscope_exporter.core import own_metrics as own
from support.alert_cases import CASES
from support.alert_cases.case import (
    AlertCase,
    Phase,
    Stretch,
    labelled,
    rotated,
    series_of,
    values,
    without_every_fourth,
)
from support.alert_cases.of_pools import OTHER_TRANSPORT, POOL
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
THREE_MINUTES_S = 180
ROUTES = ("/export", "/orders", "/reports")
CHANGING = ROUTES[0]
"""The value of a label that takes turns in `with_gaps`: the route of held connections."""


def destination(server: str) -> str:
    """Return the series by which the pool of all cases leads to a server."""
    labels = {**POOL, **OTHER_TRANSPORT, "server": server, "pgbouncer": ""}
    return labelled(own.POOL_DESTINATION.name, labels)


def alert_of(case: AlertCase) -> Alert:
    return next(
        alert for alert in ALERTS if (alert.name, alert.labels) == (case.alert, case.static)
    )


def group_file(case: AlertCase, folder: Path) -> Path:
    """Write the group of an alert, with what all groups read: all rules take far longer."""
    sources = load_sources()
    path = folder / "group.yaml"
    found = [
        group
        for group in groups(sources)
        if group.name == CONDITIONS or alert_of(case) in group.rules
    ]
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


def goes_on(case: AlertCase) -> RuleTest:
    """Return the test that an alert which remembers outlasts its series."""
    history: list[Stretch] = [*rising(case), (Phase.MISSING, 3600)]
    series = series_of(case, history)
    question = is_firing(case, last_s(case, history))
    return RuleTest(f"{case.id} goes on (missing)", case.step_s, series, [question])


def missing(case: AlertCase) -> Iterator[RuleTest]:
    history = rising(case)
    question = silent(case, last_s(case, history))
    required = [series for series in case.series if series not in case.optional]
    for without in [(series,) for series in required] + [tuple(case.series)]:
        series = series_of(case, history, without)
        yield RuleTest(f"{case.id} without {without}", case.step_s, series, [question])


def with_gaps(case: AlertCase) -> RuleTest:
    """Return the test that it fires although scrapes are missing, and each look finds other routes.

    What is judged over time has a gap at every fifth look besides.
    """
    alert = alert_of(case)
    lasts_s = on_s(case) + int(alert.for_s + 2 * alert.within_s)
    history: list[Stretch] = [(Phase.BELOW, case.before_s), (Phase.FIRING, lasts_s)]
    series: dict[str, str] = {}
    for name, level in case.series.items():
        if CHANGING not in name or not name.startswith(own.HELD_CHECKOUTS.name):
            series[name] = without_every_fourth(values(level, history, case.step_s))
            continue
        for turn, route in enumerate(ROUTES):
            series[name.replace(CHANGING, route)] = rotated(
                level, history, case.step_s, turn, len(ROUTES)
            )
    question = is_firing(case, last_s(case, history) - case.step_s)
    return RuleTest(f"{case.id} with gaps", case.step_s, series, [question])


def ended(case: AlertCase) -> RuleTest:
    """Return the test that it ends with the process: what windows still contain is no reason."""
    history = rising(case)
    steps = (last_s(case, history) + case.step_s) // case.step_s
    lived = series_of(case, history) | {destination("main"): f"1+0x{steps - 1}"}
    series = {name: f"{text} stale" for name, text in lived.items()}
    gone_s = last_s(case, history) + int(alert_of(case).keep_firing_s) + 3 * case.step_s
    questions = [is_firing(case, last_s(case, history)), silent(case, gone_s)]
    return RuleTest(f"{case.id} of a process that ends", case.step_s, series, questions)


def leading_to(case: AlertCase, *servers: str) -> RuleTest:
    """Return the test that it has the server of the pool, or none if several are known."""
    history = rising(case)
    steps = (last_s(case, history) + case.step_s) // case.step_s
    series = series_of(case, history)
    series |= {destination(server): f"1+0x{steps}" for server in servers}
    server = servers[0] if len(servers) == 1 else ""
    firing = in_state(case, "firing").replace("}", f',server="{server}"}}')
    question = Question(last_s(case, history), firing, 1)
    return RuleTest(f"{case.id} leads to {servers}", case.step_s, series, [question])


def histories_of(case: AlertCase) -> list[RuleTest]:
    alert = alert_of(case)
    found = [firing(case), just_below(case), resolved(case, Phase.BELOW)]
    found += [goes_on(case) if case.remembers else resolved(case, Phase.MISSING), *missing(case)]
    if alert.component is Component.POOL:
        found.append(ended(case))
    if alert.component is Component.POOL and "server" in alert.about:
        found += [leading_to(case, "main"), leading_to(case, "main", "other")]
    if alert.for_s or alert.within_s:
        found.append(with_gaps(case))
    return [*found, interrupted(case)] if alert.for_s else found


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
        wanted = {"fires", "just below", "resolves (below)", "(missing)", "without"}
        alert = alert_of(case)
        wanted |= {"interrupted"} if alert.for_s else set()
        wanted |= {"with gaps"} if alert.for_s or alert.within_s else set()
        wanted |= {"of a process that ends"} if alert.component is Component.POOL else set()
        assert {each for each in wanted if each not in names} == set()


def test_an_alert_on_a_pool_ends_within_three_minutes_of_the_cure_or_reports_since_when() -> None:
    """A leak ends when its connection is back, and a suspicion when the numbers fall.

    Below its limit, the history of PoolQueueLong still has long waits: that is no cure.
    """
    late = {
        case.alert
        for case in CASES
        if case.alert != ABSENT
        and alert_of(case).component is Component.POOL
        and case.clear_s + alert_of(case).keep_firing_s > THREE_MINUTES_S
    }
    assert late <= {*COUNTED, "PoolLeak", "PoolLeakSuspected", "PoolQueueLong"}


def test_every_expected_word_is_a_word_and_not_a_template() -> None:
    for words in EXPECTED.values():
        assert set(words) == {"summary", "description", "runbook_url", "dashboard_url", "page_url"}
        text = json.dumps(words)
        assert "{{" not in text
        assert "<no value>" not in text
