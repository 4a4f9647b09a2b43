"""PoolLeak goes by what is lost: not by what the server refutes, nor by what comes back."""

import json
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.prometheus_rules import CONDITIONS, groups, rule_file
from poolscope_alerts.promql import CALL_SITE, EVIDENCE, ROUTE, name
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import COLLECTED, LEAK, MAX, USED, held, of
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

NAME = "PoolLeak"
STEP_S = 15
END_S = 600
POOL_IN_USE = {USED: "5x40", MAX: "10x40"}

LEAKED = labelled(name(wire.LEAKS), LEAK)
RECOVERED = labelled(name(wire.LEAKS_RECOVERED), LEAK)
UNPROVEN = labelled(own.UNPROVEN_LEAKS.name, LEAK)
HELD_LEAKED = held("leaked", evidence="request_finished", **{ROUTE: "/export"})


def fired(series: dict[str, str], times: int, loss: str = ".+") -> RuleTest:
    """Return the test that the alert fired for so many lines within ten minutes."""
    named = f'alertname="{NAME}",alertstate="firing",loss=~"{loss}"'
    question = Question(END_S, f"count_over_time(ALERTS{{{named}}}[{END_S}s])", times)
    return RuleTest(NAME, STEP_S, POOL_IN_USE | series, [question])


def run(test: RuleTest, folder: Path) -> None:
    wanted = {CONDITIONS, "poolscope-leaks"}
    found = [group for group in groups(load_sources()) if group.name in wanted]
    path = folder / "group.yaml"
    path.write_text(json.dumps(rule_file(tuple(found), load_sources())), encoding="utf-8")
    run_rule_tests([test], folder, [path])


@needs_promtool
@pytest.mark.parametrize(
    "series",
    [
        pytest.param({LEAKED: "_x3 1x37", UNPROVEN: "_x3 1x37"}, id="it goes on working"),
        pytest.param(
            {LEAKED: "0x3 1x37", UNPROVEN: "_x3 1x10 _x27", RECOVERED: "0x14 1x26"},
            id="it is returned at last",
        ),
        pytest.param(
            {LEAKED: "0x3 1x5 2x31", UNPROVEN: "_x3 1x37", RECOVERED: "0x9 1x31"},
            id="one is returned while another one works",
        ),
    ],
)
def test_a_leak_that_the_server_refutes_never_pages(series: dict[str, str], tmp_path: Path) -> None:
    run(fired(series, 0), tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    "series",
    [
        pytest.param({LEAKED: "_x3 1x37"}, id="nothing refutes it"),
        pytest.param(
            {LEAKED: "0x3 1x37", UNPROVEN: "_x3 1x20 stale", HELD_LEAKED: "_x24 1x16"},
            id="its statements stop",
        ),
        pytest.param(
            {LEAKED: "0x3 1x10 2x27", UNPROVEN: "_x3 1x37"},
            id="another one leaks at the same line",
        ),
        pytest.param(
            {LEAKED: "0x3 1x20 2x17", UNPROVEN: "_x3 1x5 _x32", RECOVERED: "0x9 1x31"},
            id="another one leaks after it was returned",
        ),
    ],
)
def test_a_leak_that_counts_pages(series: dict[str, str], tmp_path: Path) -> None:
    run(fired(series, 1), tmp_path)


def line(number: int, evidence: str = LEAK[EVIDENCE]) -> dict[str, str]:
    return {**LEAK, CALL_SITE: f"shop/orders.py:{number}", EVIDENCE: evidence}


def leaks(labels: dict[str, str], leaked: str, recovered: str = "0x40") -> dict[str, str]:
    return {
        labelled(name(wire.LEAKS), labels): leaked,
        labelled(name(wire.LEAKS_RECOVERED), labels): recovered,
    }


def losses(series: dict[str, str], step: int, expected: dict[str, int]) -> RuleTest:
    """Return the test that so many alerts of each loss fire at a step."""
    asked = dict.fromkeys(("pool", "connections", "returned", "collected"), 0) | expected
    firing = 'ALERTS{{alertname="PoolLeak",alertstate="firing",loss="{}"}}'
    questions = [Question(step * STEP_S, firing.format(loss), n) for loss, n in asked.items()]
    return RuleTest(NAME, STEP_S, POOL_IN_USE | series, questions)


@needs_promtool
def test_a_connection_that_is_out_for_two_minutes_warns_and_no_sooner(tmp_path: Path) -> None:
    series = leaks(LEAK, "0x3 1x36")
    run(losses(series, 4 + 7, {}), tmp_path)
    run(losses(series, 4 + 8, {"connections": 1}), tmp_path)


@needs_promtool
def test_a_leak_that_comes_back_is_information(tmp_path: Path) -> None:
    run(losses(leaks(LEAK, "0x3 1x36", "0x6 1x33"), 8, {"returned": 1}), tmp_path)


@needs_promtool
def test_a_collected_connection_is_information(tmp_path: Path) -> None:
    run(losses(leaks(COLLECTED, "_x3 1x36"), 12, {"collected": 1}), tmp_path)


@needs_promtool
def test_a_collected_connection_whose_place_is_lost_is_lost(tmp_path: Path) -> None:
    series = leaks(COLLECTED, "0x3 1x36") | {of(wire.LOST_PLACES): "0x3 1x36"}
    run(losses(series, 20, {"connections": 1}), tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    ("leaked", "expected"),
    [
        pytest.param("0x3 5x36", {"pool": 1}, id="half of the pool"),
        pytest.param("0x3 4x36", {"connections": 1}, id="less than half, and no further one"),
        pytest.param("0x3 1x5 2x30", {"pool": 1}, id="two in half an hour: all within four hours"),
        pytest.param("0x3 2x36", {"connections": 1}, id="two at once have no rate"),
    ],
)
def test_what_holds_the_pool_or_soon_will_is_critical(
    leaked: str, expected: dict[str, int], tmp_path: Path
) -> None:
    run(losses(leaks(LEAK, leaked), 20, expected), tmp_path)


@needs_promtool
def test_lines_that_hold_half_of_the_pool_together_are_critical_each(tmp_path: Path) -> None:
    series = leaks(line(1), "0x3 3x36") | leaks(line(2), "0x3 2x36")
    run(losses(series, 20, {"pool": 2}), tmp_path)


@needs_promtool
def test_two_kinds_of_evidence_at_one_line_are_one_alert(tmp_path: Path) -> None:
    series = leaks(line(1), "0x3 1x36") | leaks(line(1, "task_finished"), "0x3 1x36")
    run(losses(series, 20, {"connections": 1}), tmp_path)


@needs_promtool
def test_two_kinds_of_evidence_without_counters_are_one_alert(tmp_path: Path) -> None:
    """The counters went to another backend."""
    other = held("leaked", evidence="task_finished", **{ROUTE: "/export"})
    run(losses({HELD_LEAKED: "_x3 1x36", other: "_x3 1x36"}, 20, {"connections": 1}), tmp_path)


@needs_promtool
def test_a_line_whose_leaks_mostly_come_back_is_information_though_many_are_out(
    tmp_path: Path,
) -> None:
    run(losses(leaks(LEAK, "0x3 16x36", "0x3 10x36"), 20, {"returned": 1}), tmp_path)


@needs_promtool
def test_a_line_whose_leaks_come_back_half_of_the_time_loses_connections(tmp_path: Path) -> None:
    run(losses(leaks(LEAK, "0x3 8x36", "0x3 4x36"), 20, {"connections": 1}), tmp_path)


@needs_promtool
def test_nothing_fires_for_a_process_that_has_ended(tmp_path: Path) -> None:
    """Its counters stay for ten minutes; its gauges do not."""
    series = leaks(LEAK, "0x3 5x36") | {USED: "5x20 stale"}
    run(losses(series, 20, {"pool": 1}), tmp_path)
    run(losses(series, 26, {}), tmp_path)
