"""Situations in which the thresholds, read literally, wake people for nothing; and some others.

The shipped file as a whole is asked: no alert at all may fire, or those alone that should.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from poolscope import catalogue as wire
from poolscope_alerts.promql import CALL_SITE, ROUTE, name
from poolscope_exporter.core import own_metrics as own
from support.alert_cases.case import labelled
from support.alert_cases.of_pools import HOARDING, LEAK, POOL, held
from support.alert_cases.traffic import STEP_S, Process, series, server_series, text
from support.prometheus.promtool import Question, RuleTest, needs_promtool, run_rule_tests

FIRING = 'ALERTS{alertstate="firing"}'
MINUTE = 60 // STEP_S
HOUR = 60 * MINUTE
LISTENING = {ROUTE: "", CALL_SITE: "shop/feed.py:7"}


def every_five_minutes(steps: int) -> Iterable[int]:
    return range(5 * 60, steps * STEP_S, 5 * 60)


def silence(
    name: str, processes: Iterable[Process], steps: int, extra: dict[str, str] | None = None
) -> RuleTest:
    found = server_series(steps)
    for process in processes:
        found |= series(process, steps)
    questions = [Question(at_s, FIRING, 0) for at_s in every_five_minutes(steps)]
    return RuleTest(name, STEP_S, found | (extra or {}), questions)


def at_first(begins: int) -> Callable[[int], int]:
    return lambda step: 15 if step < begins + MINUTE // 2 else 0


def a_process(instance: str = "a1") -> Process:
    return Process(instance, used=lambda step: 3 + step % 2, asked=lambda _: 20)


@needs_promtool
def test_a_morning_ramp_fires_nothing(tmp_path: Path) -> None:
    """Checkouts stay ahead of checkins all the way up, and the floor rises."""
    ramp = Process(
        "a1",
        used=lambda step: 1 + 26 * step // (2 * HOUR) + step % 2,
        asked=lambda step: 10 + 90 * step // (2 * HOUR),
        max=40,
    )
    run_rule_tests([silence("ramp", [ramp], 2 * HOUR)], tmp_path)


@needs_promtool
def test_a_rollout_of_short_lived_pods_fires_nothing(tmp_path: Path) -> None:
    """Each pod opens its first connections, slowly, and is gone after four minutes."""
    pods = [
        Process(
            f"pod-{number}",
            used=lambda step: 2 + step % 2,
            asked=lambda _: 30,
            slow=at_first(number * MINUTE),
            queued=at_first(number * MINUTE),
            opened=at_first(number * MINUTE),
            begins=number * MINUTE,
            ends=(number + 4) * MINUTE,
        )
        for number in range(40)
    ]
    run_rule_tests([silence("rollout", pods, 45 * MINUTE)], tmp_path)


@needs_promtool
@pytest.mark.parametrize(
    ("queued", "name"), [(0, "PoolCheckoutSlow"), (10, "PoolQueueLong")], ids=["slow", "queued"]
)
def test_a_deployed_process_with_waits_is_not_overlooked_in_its_first_minutes(
    queued: int, name: str, tmp_path: Path
) -> None:
    """It opens its connections at first, and goes on to make its callers wait."""
    begins, ends = 10 * MINUTE, 20 * MINUTE
    process = Process(
        "a1",
        used=lambda step: 3 + step % 2,
        asked=lambda _: 30,
        slow=lambda _: 15,
        queued=lambda _: queued,
        opened=lambda step: 5 if step < begins + 2 else 0,
        begins=begins,
        ends=ends,
    )
    found = {key: f"{values} stale" for key, values in series(process, ends).items()}
    firing = f'ALERTS{{alertstate="firing",alertname="{name}"}}'
    asked = [((begins + 5 * MINUTE) * STEP_S, 1), ((ends + 2) * STEP_S, 0)]
    questions = [Question(at_s, firing, count) for at_s, count in asked]
    run_rule_tests([RuleTest(name, STEP_S, found, questions)], tmp_path)


@needs_promtool
@pytest.mark.parametrize("begins", [20 * MINUTE, 20 * MINUTE + 1], ids=["even", "odd"])
def test_an_exhausted_pool_pages_without_a_warning_of_its_queue(
    begins: int, tmp_path: Path
) -> None:
    """Whenever it begins: the warning must not fire until a look back finds the page."""
    process = Process(
        "a1",
        used=lambda step: 20 if step >= begins else 3,
        asked=lambda _: 30,
        slow=lambda step: 15 if step >= begins else 0,
        queued=lambda step: 10 if step >= begins else 0,
        timed_out=lambda step: 5 if step >= begins else 0,
    )
    firing = 'ALERTS{{alertstate="firing",alertname="{}"}}'
    steps = begins + 5 * MINUTE
    questions = [
        Question(step * STEP_S, firing.format("PoolQueueLong"), 0) for step in range(begins, steps)
    ]
    questions.append(Question((begins + MINUTE) * STEP_S, firing.format("PoolExhausted"), 1))
    found = series(process, steps) | server_series(steps)
    run_rule_tests([RuleTest("exhausted", STEP_S, found, questions)], tmp_path)


@needs_promtool
def test_counters_that_begin_again_fire_nothing(tmp_path: Path) -> None:
    """The process restarts under the same id, twice, with old time-outs on its counters."""
    process = Process(
        "a1",
        used=lambda step: 3 + step % 2,
        asked=lambda _: 2000,
        timed_out=lambda step: 1 if step in (5, 6, 7) else 0,
        restarts=(30 * MINUTE, 31 * MINUTE),
    )
    run_rule_tests([silence("resets", [process], HOUR)], tmp_path)


@needs_promtool
def test_workers_with_one_connection_that_is_always_out_fire_nothing(tmp_path: Path) -> None:
    workers = [
        Process(f"worker-{number}", used=lambda _: 1, asked=lambda _: 20, max=1)
        for number in range(8)
    ]
    run_rule_tests([silence("workers", workers, HOUR)], tmp_path)


@needs_promtool
def test_low_traffic_of_slow_checkouts_with_a_time_out_fires_nothing(tmp_path: Path) -> None:
    """One request a minute: a single one is a large share of them."""
    process = Process(
        "a1",
        used=lambda step: step % 2,
        asked=lambda step: 1 if step % MINUTE == 0 else 0,
        slow=lambda step: 1 if step % MINUTE == 0 else 0,
        timed_out=lambda step: 1 if step == 30 * MINUTE else 0,
    )
    run_rule_tests([silence("low traffic", [process], HOUR)], tmp_path)


@needs_promtool
def test_a_pool_that_serves_only_long_lived_connections_fires_nothing(tmp_path: Path) -> None:
    """Declared with `long_lived()`: out for ever, and the oldest checkout only grows older."""
    process = Process("a1", used=lambda _: 2, asked=lambda _: 0, max=10)
    oldest = labelled("poolscope_oldest_checkout_age_seconds", POOL)
    older = {oldest: f"0+{STEP_S}x{HOUR - 1}"}
    run_rule_tests([silence("long lived", [process], HOUR, older)], tmp_path)


def leak_series(leaked: str, recovered: str, **more: str) -> dict[str, str]:
    return {
        labelled(name(wire.LEAKS), LEAK, **more): leaked,
        labelled(name(wire.LEAKS_RECOVERED), LEAK, **more): recovered,
    }


def leaking(
    test: str,
    found: dict[str, str],
    asked: Iterable[tuple[int, int]],
    site: str = LEAK[CALL_SITE],
) -> RuleTest:
    """Ask at minutes how many leak alerts fire, and that nothing else does."""
    steps = HOUR + 30 * MINUTE
    others = 'ALERTS{alertstate="firing",alertname!="PoolLeak"}'
    leak = f'ALERTS{{alertstate="firing",alertname="PoolLeak",{CALL_SITE}="{site}"}}'
    questions = [Question(minute * 60, leak, count) for minute, count in asked]
    questions += [Question(at_s, others, 0) for at_s in every_five_minutes(steps)]
    everything = server_series(steps) | series(a_process(), steps) | found
    return RuleTest(test, STEP_S, everything, questions)


@needs_promtool
def test_the_first_leak_of_a_line_is_told_though_its_series_begins_at_one(tmp_path: Path) -> None:
    found = leak_series(f"_x{20 * MINUTE} 1+0x{40 * MINUTE}", f"_x{20 * MINUTE} 0+0x{40 * MINUTE}")
    run_rule_tests([leaking("first", found, [(21, 0), (22, 1), (29, 1), (59, 1)])], tmp_path)


@needs_promtool
def test_a_leak_that_came_back_is_not_told_for_long(tmp_path: Path) -> None:
    """It is out for three minutes: a warning after two, then ten minutes of information."""
    steps = 20 * MINUTE
    found = leak_series(f"_x{steps} 1+0x{steps}", f"_x{steps} 0+0x{3 * MINUTE} 1+0x{steps}")
    asked = [(21, 0), (22, 1), (24, 1), (32, 1), (34, 0)]
    run_rule_tests([leaking("recovered", found, asked)], tmp_path)


@needs_promtool
def test_an_old_leak_that_came_back_is_not_told_anew_after_an_outage_of_the_scraping(
    tmp_path: Path,
) -> None:
    values = f"1+0x{20 * MINUTE} _x{20 * MINUTE} 1+0x{40 * MINUTE}"
    found = leak_series(values, values)
    run_rule_tests([leaking("outage", found, [(5, 0), (17, 0), (41, 0), (55, 0)])], tmp_path)


@needs_promtool
def test_a_leak_whose_counters_went_to_another_backend_is_told_by_what_is_held(
    tmp_path: Path,
) -> None:
    found = {held("leaked", evidence="request_finished"): f"_x{MINUTE} 1+0x{20 * MINUTE} stale"}
    run_rule_tests([leaking("held alone", found, [(5, 1), (40, 0)], site="")], tmp_path)


@needs_promtool
def test_two_exporters_or_another_transport_make_one_alert_of_one_leak(tmp_path: Path) -> None:
    steps = 20 * MINUTE
    leaked, recovered = f"_x{steps} 1+0x{steps}", f"_x{steps} 0+0x{steps}"
    found = leak_series(leaked, recovered, job="poolscope", instance="10.0.0.7:9736")
    found |= leak_series(leaked, recovered, job="poolscope", instance="10.0.0.8:9736")
    tests = [leaking("two exporters", found, [(19, 0), (25, 1)])]
    tests.append(leaking("otlp", leak_series(leaked, recovered), [(19, 0), (25, 1)]))
    run_rule_tests(tests, tmp_path)


@needs_promtool
def test_a_suspicion_ends_with_the_process(tmp_path: Path) -> None:
    """Its windows still rise then; it is kept firing for five minutes, and no longer."""
    steps = 30 * MINUTE
    leaky = Process("a1", used=lambda step: 1 + step // (4 * MINUTE), asked=lambda _: 20)
    found = series(leaky, steps) | _held_for_long(steps, lambda step: step // (4 * MINUTE))
    ended = {key: f"{values} stale" for key, values in found.items()}
    suspected = 'ALERTS{alertstate="firing",alertname="PoolLeakSuspected"}'
    questions = [
        Question(minute * 60 + 30, suspected, is_so) for minute, is_so in ((29, 1), (35, 0))
    ]
    run_rule_tests([RuleTest("ended", STEP_S, ended, questions)], tmp_path)


@needs_promtool
def test_a_pool_that_fills_up_over_two_exporters_is_one_alert(tmp_path: Path) -> None:
    full = Process("a1", used=lambda _: 20, asked=lambda _: 20, timed_out=lambda _: 1)
    steps = 10 * MINUTE
    found = series(full, steps, instance="10.0.0.7:9736")
    found |= series(full, steps, instance="10.0.0.8:9736")
    exhausted = 'ALERTS{alertstate="firing",alertname="PoolExhausted"}'
    question = Question(5 * 60, exhausted, 1)
    run_rule_tests([RuleTest("two exporters", STEP_S, found, [question])], tmp_path)


@needs_promtool
def test_two_exporters_do_not_make_twice_as_many_time_outs(tmp_path: Path) -> None:
    """Four are no statement, whoever counts them."""
    process = Process(
        "a1",
        used=lambda step: step % 2,
        asked=lambda step: 1 if step % MINUTE == 0 else 0,
        timed_out=lambda step: 1 if step in range(20 * MINUTE, 30 * MINUTE, 3 * MINUTE) else 0,
    )
    other = series(process, HOUR, instance="10.0.0.8:9736")
    run_rule_tests([silence("two exporters", [process], HOUR, other)], tmp_path)


def test_samples_are_written_as_promtool_reads_them() -> None:
    assert text([1, None, 2.5]) == "1 _ 2.5"


@needs_promtool
def test_a_young_process_that_hoards_is_suspected_as_soon_as_an_old_one(tmp_path: Path) -> None:
    """Its traffic did not grow: the window before has only its first minutes."""
    steps = 12 * MINUTE
    hoarding = Process("a1", used=lambda step: step // MINUTE, asked=lambda _: 20)
    found = series(hoarding, steps) | _held_for_long(steps, lambda step: step // MINUTE)
    suspected = 'ALERTS{alertstate="firing",alertname="PoolLeakSuspected"}'
    run_rule_tests(
        [RuleTest("young", STEP_S, found, [Question(11 * 60 + 45, suspected, 1)])], tmp_path
    )


@needs_promtool
def test_a_listener_in_a_young_process_with_growing_use_is_no_suspicion(tmp_path: Path) -> None:
    """Its connection is out for good, and the use of the others rises as the process begins."""
    steps = 20 * MINUTE
    young = Process("a1", used=lambda step: 1 + step // (4 * MINUTE), asked=lambda _: 20)
    found = series(young, steps) | _held_for_long(steps, lambda _: 1)
    suspected = 'ALERTS{alertname="PoolLeakSuspected"}'
    questions = [Question(minute * 60 + 30, suspected, 0) for minute in range(1, 20)]
    run_rule_tests([RuleTest("listener", STEP_S, found, questions)], tmp_path)


@needs_promtool
def test_the_line_that_holds_more_than_before_is_suspected(tmp_path: Path) -> None:
    """A line of listeners that holds more, but what it always held, is not meant."""
    steps = 12 * MINUTE
    hoarding = Process("a1", used=lambda step: 9 + step // MINUTE, asked=lambda _: 20)
    found = series(hoarding, steps) | _held_for_long(steps, lambda step: step // MINUTE)
    found |= _held_for_long(steps, lambda _: 9, LISTENING)
    suspected = 'ALERTS{alertstate="firing",alertname="PoolLeakSuspected"%s}'
    hoard, listeners = (
        suspected % f',{CALL_SITE}="{line[CALL_SITE]}"' for line in (HOARDING, LISTENING)
    )
    questions = [Question(11 * 60 + 45, hoard, 1), Question(11 * 60 + 45, listeners, 0)]
    run_rule_tests([RuleTest("two lines", STEP_S, found, questions)], tmp_path)


def _held_for_long(
    steps: int, count: Callable[[int], float], line: Mapping[str, str] = HOARDING
) -> dict[str, str]:
    """Return what the exporter says of a line whose checkouts are out for longer and longer."""
    process = {**POOL, "service_instance_id": "a1"}
    oldest = labelled(own.OLDEST_CHECKOUT_AGE.name, process)
    held = labelled(own.LONG_HELD_CHECKOUTS.name, process, **line)
    return {
        oldest: text([STEP_S * max(step - MINUTE, 0) for step in range(steps)]),
        held: text([count(step) for step in range(steps)]),
    }
