"""One incident is one page: the cause pages in place of the symptom, and nothing after the cure."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope.catalogue import Phase
from poolscope_alerts.promql import KIND, PHASE, name
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import (
    CHECKINS,
    CHECKOUTS,
    FAILED,
    LEAK,
    MAX,
    OTHER_TRANSPORT,
    PENDING,
    POOL,
    TIMEOUTS,
    USED,
    diagnosis,
    held,
    of,
)
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

STEP_S = 15
CALM, HURT, AFTER = 40, 20, 20
"""Steps of a history: before the incident, in it, and after it."""

DESTINATION = labelled(
    own.POOL_DESTINATION.name, {**POOL, **OTHER_TRANSPORT}, server="main", pgbouncer=""
)
HEADROOM = labelled(own.SERVER_HEADROOM.name, {"server": "main"})
IN_TRANSACTION = held("idle_in_transaction")
LEAKED = held("leaked", evidence="request_finished")

BY_CAUSE = {
    Diagnosis.LOOP_BLOCKED: "PoolLoopBlocked",
    Diagnosis.SERVER_FULL: "PoolServerFull",
    Diagnosis.CONNECTING: "PoolConnectSlow",
    Diagnosis.SHARED_ACROSS_FORK: "PoolSharedAcrossFork",
    Diagnosis.DEADLOCKED: "PoolDeadlocked",
    Diagnosis.BLOCKED: "PoolBlocked",
    Diagnosis.SLOW_QUERIES: "PoolSlowQueries",
}
NO_CAUSE = (
    Diagnosis.FULL,
    Diagnosis.UNDERSIZED,
    Diagnosis.UNKNOWN,
    Diagnosis.SERVER_SLOW,
    Diagnosis.THREADS_EXHAUSTED,
    Diagnosis.HELD_IDLE,
    Diagnosis.LEAKING,
)


def story(calm: float, hurt: float) -> str:
    """Return a gauge that has one value in the incident and another one before and after it."""
    return f"{calm:g}+0x{CALM - 1} {hurt:g}+0x{HURT - 1} {calm:g}+0x{AFTER - 1}"


def exhausted(*, is_found_after: int = 0, found: Diagnosis | None = None) -> dict[str, str]:
    """Return a pool that is exhausted in the incident; the diagnosis follows after some steps.

    Before that, it is `full`; without a diagnosis, no exporter knows the pool.
    """
    series = {USED: story(3, 10), MAX: story(10, 10), PENDING: story(0, 4)}
    if found is None:
        return series
    full, rest = is_found_after, HURT - is_found_after
    series[diagnosis(Diagnosis.HEALTHY)] = story(1, 0)
    if full and found is not Diagnosis.FULL:
        series[diagnosis(Diagnosis.FULL)] = f"0+0x{CALM - 1} 1+0x{full - 1} 0+0x{rest + AFTER - 1}"
    before = CALM + full
    series[diagnosis(found)] = f"0+0x{before - 1} 1+0x{rest - 1} 0+0x{AFTER - 1}"
    return series


def pages(title: str, series: Mapping[str, str], *names: str) -> RuleTest:
    """Return the test that just these alerts were critical, at any step of the history."""
    at_s = STEP_S * (CALM + HURT + AFTER - 1)
    ever = f"[{at_s}s:{STEP_S}s]"
    critical = 'ALERTS{alertstate="firing",severity="critical"'
    others = "|".join(names) or "none"
    questions = [Question(at_s, f'max_over_time({critical},alertname!~"{others}"}}{ever})', 0)]
    questions += [
        Question(at_s, f'max_over_time({critical},alertname="{each}"}}{ever})', 1) for each in names
    ]
    return RuleTest(title, STEP_S, series, questions)


@needs_promtool
def test_a_cause_pages_in_place_of_the_exhaustion(tmp_path: Path) -> None:
    """It is established one scrape after the first caller waits, as evidence needs a push."""
    run_rule_tests(
        [
            pages(str(found), exhausted(found=found, is_found_after=1), alert)
            for found, alert in BY_CAUSE.items()
        ],
        tmp_path,
    )


@needs_promtool
def test_an_open_transaction_pages_by_its_name_and_other_idle_holders_as_exhaustion(
    tmp_path: Path,
) -> None:
    idle = exhausted(found=Diagnosis.HELD_IDLE, is_found_after=1)
    run_rule_tests(
        [
            pages("transaction", idle | {IN_TRANSACTION: story(0, 8)}, "PoolIdleInTransaction"),
            pages("no transaction", idle, "PoolExhausted"),
        ],
        tmp_path,
    )


@needs_promtool
def test_a_pool_without_an_established_cause_pages_exhaustion(tmp_path: Path) -> None:
    tests = [
        pages(str(found), exhausted(found=found, is_found_after=1), "PoolExhausted")
        for found in NO_CAUSE
    ]
    run_rule_tests([*tests, pages("a stranger", exhausted(), "PoolExhausted")], tmp_path)


@needs_promtool
def test_an_exhausted_pool_that_stays_healthy_by_mistake_pages_all_the_same(tmp_path: Path) -> None:
    series = exhausted() | {diagnosis(Diagnosis.HEALTHY): story(1, 1)}
    run_rule_tests([pages("healthy", series, "PoolExhausted")], tmp_path)


@needs_promtool
def test_leaks_that_hold_half_of_the_pool_leave_the_exhaustion_to_the_leak(tmp_path: Path) -> None:
    leaking = exhausted(found=Diagnosis.LEAKING, is_found_after=1)
    run_rule_tests(
        [
            pages("half", leaking | {LEAKED: story(5, 5)}, "PoolLeak"),
            pages("less", leaking | {LEAKED: story(4, 4)}, "PoolExhausted"),
        ],
        tmp_path,
    )


@needs_promtool
def test_a_line_that_hands_its_connections_over_does_not_hide_the_exhaustion(
    tmp_path: Path,
) -> None:
    """Its leaks mostly come back: `PoolLeak` only informs, although half of the pool is out."""
    counted, back = (labelled(name(each), LEAK) for each in (wire.LEAKS, wire.LEAKS_RECOVERED))
    handed = {LEAKED: story(5, 5), counted: story(20, 20), back: story(15, 15)}
    leaking = exhausted(found=Diagnosis.LEAKING, is_found_after=1)
    run_rule_tests([pages("handed over", leaking | handed, "PoolExhausted")], tmp_path)


@needs_promtool
def test_a_deadlock_that_no_exporter_diagnoses_is_one_page(tmp_path: Path) -> None:
    series = exhausted() | {
        of(wire.HELD_BY_WAITERS): story(0, 10),
        of(wire.PENDING_AGE, **{PHASE: Phase.QUEUE}): story(0, 6),
    }
    run_rule_tests([pages("deadlock", series, "PoolDeadlocked")], tmp_path)


@needs_promtool
def test_failing_connections_page_in_place_of_the_exhaustion(tmp_path: Path) -> None:
    failing = of(wire.CONNECT_ERRORS, **{KIND: "refused"})
    series = exhausted(found=Diagnosis.CONNECT_FAILING, is_found_after=1) | {
        failing: f"0+0x{CALM - 5} 0+60x{HURT + 4} 1200+0x{AFTER - 1}",
        of(wire.OPENED): story(1, 1),
    }
    run_rule_tests([pages("failing", series, "PoolConnectFailing")], tmp_path)


@needs_promtool
def test_a_full_server_pages_once_for_all_its_pools(tmp_path: Path) -> None:
    pool = exhausted(found=Diagnosis.SERVER_FULL, is_found_after=1) | {DESTINATION: story(1, 1)}
    run_rule_tests(
        [
            pages("server", pool | {HEADROOM: story(9, 0)}, "DatabaseFull"),
            pages("bouncer", pool | {HEADROOM: story(9, 9)}, "PoolServerFull"),
        ],
        tmp_path,
    )


@needs_promtool
def test_callers_that_gave_up_page_by_the_cause_although_a_place_is_free_now(
    tmp_path: Path,
) -> None:
    series = exhausted(found=Diagnosis.BLOCKED) | {
        USED: story(3, 9),
        TIMEOUTS: f"0+0x{CALM - 1} 0+1x{HURT - 1} {HURT}+0x{AFTER - 1}",
    }
    run_rule_tests([pages("gave up", series, "PoolBlocked")], tmp_path)


def timing_out(asked: int, timed_out: int) -> dict[str, str]:
    """Return the counters of a pool in which callers give up during the incident alone."""
    before, during, after = CALM - 1, HURT - 1, AFTER - 1
    served = asked - timed_out
    lost = f"0+0x{before} 0+{timed_out}x{during} {timed_out * during}+0x{after}"
    done = f"0+{asked}x{before} {asked * before}+{served}x{during}"
    done += f" {asked * before + served * during}+{asked}x{after}"
    return {TIMEOUTS: lost, FAILED: lost, CHECKOUTS: done, CHECKINS: done}


@needs_promtool
def test_time_outs_of_an_exhausted_pool_burn_no_budget_besides(tmp_path: Path) -> None:
    """The windows of the budget go on after the incident: they must not page for it then."""
    run_rule_tests(
        [
            pages("exhausted", exhausted() | timing_out(20, 5), "PoolExhausted"),
            pages(
                "blocked",
                exhausted(found=Diagnosis.BLOCKED, is_found_after=1) | timing_out(20, 5),
                "PoolBlocked",
            ),
        ],
        tmp_path,
    )


@needs_promtool
def test_time_outs_that_no_other_alert_pages_for_burn_the_budget(tmp_path: Path) -> None:
    series = {USED: story(3, 9), MAX: story(10, 10)} | timing_out(20, 5)
    run_rule_tests([pages("time-outs alone", series, "PoolTimeoutBudgetBurn")], tmp_path)


@needs_promtool
def test_a_slow_burn_never_pages_after_the_fast_one_was_resolved(tmp_path: Path) -> None:
    """Time-outs for ten minutes, and then none: the longer windows still contain them."""
    step_s, calm, burn, after = 60, 60, 10, 120
    lost = f"0+0x{calm - 1} 0+10x{burn - 1} {10 * (burn - 1)}+0x{after - 1}"
    total = calm + burn + after
    series = {USED: f"3+0x{total}", MAX: f"10+0x{total}", CHECKOUTS: f"0+100x{total}"}
    series |= {TIMEOUTS: lost, FAILED: lost}
    firing = 'ALERTS{alertstate="firing",severity="critical",long="%s"}'
    ever = f"[{(total - 1) * step_s}s:{step_s}s]"
    at_s = (total - 1) * step_s
    cured_s = (calm + burn) * step_s
    later = f"[{at_s - cured_s - 360}s:{step_s}s]"
    questions = [
        Question(at_s, f"max_over_time({firing % '1h'}{ever})", 1),
        Question(at_s, f"max_over_time({firing % '1h'}{later})", 0),
        Question(at_s, f"max_over_time({firing % '6h'}{ever})", 0),
    ]
    run_rule_tests([RuleTest("burn", step_s, series, questions)], tmp_path)


def informs(range_s: int = 0) -> str:
    """Return the information on time-outs that fires, now or within a time."""
    firing = 'ALERTS{alertname="PoolTimeoutBudgetBurn",alertstate="firing",severity="info"}'
    return f"max_over_time({firing}[{range_s}s:{STEP_S}s])" if range_s else firing


@needs_promtool
def test_time_outs_of_an_exhausted_pool_are_no_information_besides(tmp_path: Path) -> None:
    """They are few, so that no budget burns fast enough to page."""
    at_s = STEP_S * (CALM + HURT + AFTER - 1)
    series = exhausted() | timing_out(1000, 10)
    run_rule_tests(
        [RuleTest("exhausted", STEP_S, series, [Question(at_s, informs(at_s), 0)])], tmp_path
    )


@needs_promtool
def test_information_on_time_outs_is_there_until_the_budget_warns(tmp_path: Path) -> None:
    """A burn over a day warns after an hour."""
    step_s, steps = 60, 90
    lost = f"0+4x{steps}"
    series = {USED: f"3+0x{steps}", MAX: f"10+0x{steps}", CHECKOUTS: f"0+996x{steps}"}
    series |= {TIMEOUTS: lost, FAILED: lost}
    warns = 'ALERTS{alertname="PoolTimeoutBudgetBurn",alertstate="firing",severity="warning"}'
    questions = [
        Question(minutes * step_s, expression, count)
        for minutes, informing, warning in ((30, 1, 0), (55, 1, 0), (80, 0, 1))
        for expression, count in ((informs(), informing), (warns, warning))
    ]
    run_rule_tests([RuleTest("slow burn", step_s, series, questions)], tmp_path)


@needs_promtool
@pytest.mark.parametrize("alert", ["PoolFull", "PoolNearExhaustion"])
def test_a_lesser_alert_does_not_fire_beside_the_one_that_pages(alert: str, tmp_path: Path) -> None:
    at_s = STEP_S * (CALM + HURT - 1)
    firing = f'max_over_time(ALERTS{{alertstate="firing",alertname="{alert}"}}[{at_s}s:{STEP_S}s])'
    run_rule_tests([RuleTest("lesser", STEP_S, exhausted(), [Question(at_s, firing, 0)])], tmp_path)
