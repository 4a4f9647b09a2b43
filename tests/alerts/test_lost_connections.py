"""A lost connection fires the alert that has its cure; a stale socket is one of several kinds."""

from pathlib import Path

import pytest

from poolscope.catalogue import InvalidationReason
from poolscope_alerts.__main__ import load_sources
from poolscope_alerts.pool_usage import CAUGHT, ENDED, STALE, TIMED_OUT, alerts
from poolscope_alerts.servers import RESTART_ENDS
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import (
    IDLE,
    MAX,
    OTHER_TRANSPORT,
    PENDING,
    POOL,
    USED,
    lost,
)
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

STEP_S = 15
STEPS = 20
SERVER = "main"
DESTINATION = labelled(
    own.POOL_DESTINATION.name, {**POOL, **OTHER_TRANSPORT}, server=SERVER, pgbouncer=""
)
ALERTS = ("PoolStaleSockets", "PoolStaleSocketsCaught", "PoolSessionsEnded")
UP = labelled(own.SERVER_UP.name, {"server": SERVER})
EXPECTED = {
    **dict.fromkeys(STALE, "PoolStaleSockets"),
    **dict.fromkeys(CAUGHT, "PoolStaleSocketsCaught"),
    **dict.fromkeys(ENDED, "PoolSessionsEnded"),
}


def changes(server: str) -> str:
    """Return the series of a server's restarts."""
    return labelled(own.SERVER_CHANGES.name, {"server": server, "change": "replaced"})


def growing(series: str) -> dict[str, str]:
    """Return a counter that grows in the middle of the history."""
    half = STEPS // 2
    return {series: f"0+0x{half} 2+0x{half}"}


def fires(name: str, series: dict[str, str], expected: set[str]) -> RuleTest:
    """Return the test that just these of the alerts fire."""
    questions = [
        Question(
            STEP_S * STEPS,
            f'ALERTS{{alertstate="firing",alertname="{alert}"}}',
            int(alert in expected),
        )
        for alert in ALERTS
    ]
    return RuleTest(name, STEP_S, series | {IDLE: f"1+0x{STEPS}"}, questions)


@needs_promtool
def test_each_reason_fires_its_own_alert_and_no_other(tmp_path: Path) -> None:
    tests = [
        fires(reason, growing(lost(reason)), {EXPECTED[reason]} if reason in EXPECTED else set())
        for reason in InvalidationReason
    ]
    run_rule_tests(tests, tmp_path)


@needs_promtool
@pytest.mark.parametrize("replaced", [SERVER, "another", None])
@pytest.mark.parametrize("reason", RESTART_ENDS)
def test_connection_that_a_restart_of_its_server_ended_fires_no_alert_of_its_pool(
    reason: str, replaced: str | None, tmp_path: Path
) -> None:
    series = growing(lost(reason)) | {DESTINATION: f"1+0x{STEPS}"}
    series |= {} if replaced is None else growing(changes(replaced))
    expected = set() if replaced == SERVER else {EXPECTED[InvalidationReason(reason)]}
    run_rule_tests([fires(f"{replaced} was replaced", series, expected)], tmp_path)


def failing_polls(reason: str) -> dict[str, str]:
    half = STEPS // 2
    failures = labelled(own.POLL_FAILURES.name, {"server": SERVER, "reason": reason})
    return {failures: f"0+0x{half} 1+1x{half}", UP: f"1+0x{half} 0+0x{half}"}


@needs_promtool
@pytest.mark.parametrize("ended", RESTART_ENDS)
@pytest.mark.parametrize(("reason", "down"), [("refused", True), ("authentication", False)])
def test_connection_that_a_server_still_down_ended_fires_no_alert_of_its_pool(
    reason: str, down: bool, ended: str, tmp_path: Path
) -> None:
    """The restart shows only when a poll succeeds again; a wrong password is no restart."""
    series = growing(lost(ended)) | {DESTINATION: f"1+0x{STEPS}"} | failing_polls(reason)
    expected = set() if down else {EXPECTED[InvalidationReason(ended)]}
    run_rule_tests([fires(reason, series, expected)], tmp_path)


@needs_promtool
@pytest.mark.parametrize("begins", [0, STEPS // 2 + 1])
@pytest.mark.parametrize("reason", ENDED)
def test_time_out_of_a_pool_that_is_paged_fires_no_alert_of_its_own(
    reason: InvalidationReason, begins: int, tmp_path: Path
) -> None:
    """A lock lets statements time out, and fills the pool: the page names the lock."""
    full = {USED: f"0+0x{begins} 8+0x{STEPS}", MAX: f"8+0x{2 * STEPS}"}
    full |= {PENDING: f"0+0x{begins} 3+0x{STEPS}"}
    expected = set() if reason in TIMED_OUT else {"PoolSessionsEnded"}
    run_rule_tests([fires(reason, growing(lost(reason)) | full, expected)], tmp_path)


@needs_promtool
def test_a_restart_is_one_message_for_all_pools_of_its_server(tmp_path: Path) -> None:
    series = {DESTINATION: f"1+0x{STEPS}"} | growing(changes(SERVER))
    for pool in ("main", "reports", "jobs"):
        series |= {DESTINATION.replace('"main",db', f'"{pool}",db'): f"1+0x{STEPS}"}
        series |= growing(lost("admin").replace('"main"', f'"{pool}"'))
    question = Question(
        STEP_S * STEPS, 'ALERTS{alertstate="firing",alertname="DatabaseRestarted"}', 1
    )
    run_rule_tests([RuleTest("one", STEP_S, series, [question])], tmp_path)


@needs_promtool
def test_stale_sockets_of_both_reasons_add_up(tmp_path: Path) -> None:
    [stale] = [each for each in alerts(load_sources()) if each.name == "PoolStaleSockets"]
    series = growing(lost("socket")) | growing(lost("idle_session_timeout"))
    question = Question(STEP_S * STEPS, f"({stale.expression}) > 3", 1)  # 2 of each
    run_rule_tests([RuleTest("both", STEP_S, series, [question])], tmp_path)
