"""A row of docs/adoption.md is right only if word, time, alert and count are."""

from dataclasses import replace

import pytest

from poolscope_generators.adoption.document import faults_of, page
from poolscope_generators.adoption.outcome import WORD_WITHIN_S, calm_faults, judge
from poolscope_generators.adoption.record import (
    AppRecord,
    Count,
    Phase,
    PhaseRecord,
    Shown,
    read_records,
    write_record,
)

LOCK = PhaseRecord(
    Phase.LOCK,
    120.0,
    shown=(Shown("healthy", 0.5), Shown("blocked", 8.0)),
    fired=(Shown("PoolBlocked/critical", 40.0), Shown("PoolExhausted/critical", 50.0)),
    count=Count(70, 70, 71),
)
CALM = PhaseRecord(Phase.CALM, 900.0, (Shown("unknown", 0.1), Shown("healthy", 1.0)))
APP = AppRecord(
    "shop", "Shop", "a pool", "one line", "Python 3.11", 60, (), (CALM, LOCK), (), (), 1, 0,
    has_alerts=True,
)  # fmt: skip


def faults(record: PhaseRecord, *, has_alerts: bool = True) -> tuple[str, ...]:
    return judge(record, has_alerts=has_alerts).faults


def test_right_row_has_no_fault() -> None:
    assert faults(LOCK) == ()
    assert faults_of(APP) == []


def test_a_diagnosis_that_is_also_right_in_an_application_is_no_fault() -> None:
    shown = (*LOCK.shown, Shown("threads_exhausted", 20.0))
    assert faults(replace(LOCK, shown=shown)) == ("`threads_exhausted` after 20 s",)
    assert faults(replace(LOCK, shown=shown, also=("threads_exhausted",))) == ()


def test_slow_queries_are_the_alert_on_exhaustion_only_if_they_page() -> None:
    record = PhaseRecord(Phase.EXHAUSTION, 120.0, (Shown("slow_queries", 6.0),))
    critical, warning = (Shown(f"PoolSlowQueries/{each}", 22.5) for each in ("critical", "warning"))
    assert faults(replace(record, fired=(critical,))) == ()
    assert faults(replace(record, fired=(warning,))) == ("no right alert",)


def test_a_story_that_broke_off_is_not_right_and_keeps_what_was_played() -> None:
    broken = replace(APP, phases=(CALM,), broke_off="TimeoutError()")
    assert faults_of(broken) == ["shop: the story broke off: TimeoutError()"]
    assert "the story broke off" in page({"shop": replace(broken, phases=())})


def test_first_right_word_and_alert_are_found() -> None:
    outcome = judge(LOCK, has_alerts=True)
    assert (outcome.word, outcome.alert) == (LOCK.shown[1], LOCK.fired[0])


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ((Shown("healthy", 0.0),), "never `blocked`"),
        ((Shown("blocked", WORD_WITHIN_S + 0.1),), "the word came late, after 30 s"),
        ((*LOCK.shown, Shown("leaking", 9.0)), "`leaking` after 9 s"),
    ],
)
def test_wrong_word_is_a_fault(shown: tuple[Shown, ...], expected: str) -> None:
    assert faults(replace(LOCK, shown=shown)) == (expected,)


def test_word_at_the_limit_is_in_time() -> None:
    assert faults(replace(LOCK, shown=(Shown("blocked", WORD_WITHIN_S),))) == ()


@pytest.mark.parametrize(
    ("fired", "expected"),
    [
        ((), "no right alert"),
        ((*LOCK.fired, Shown("PoolLeak/critical", 60.0)), "PoolLeak/critical after 60 s"),
    ],
)
def test_wrong_alert_is_a_fault(fired: tuple[Shown, ...], expected: str) -> None:
    record = replace(LOCK, fired=fired)
    assert faults(record) == (expected,)
    assert faults(record, has_alerts=False) == ()


@pytest.mark.parametrize(
    ("counted", "is_right"), [(69, False), (70, True), (71, True), (72, False)]
)
def test_count_must_lie_between_two_readings_of_the_truth(counted: int, is_right: bool) -> None:
    found = faults(replace(LOCK, count=Count(counted, 70, 71)))
    assert found == (() if is_right else (f"counted {counted} of 70",))


@pytest.mark.parametrize(
    "disturbed",
    [
        replace(APP, unequal_answers=("200 / 500",)),
        replace(APP, findings=("C5",)),
        replace(APP, log_lines=("two pools had the same name",)),
        replace(APP, still_listed=1),
    ],
)
def test_calm_that_is_disturbed_is_a_fault(disturbed: AppRecord) -> None:
    assert len(calm_faults(disturbed)) == 1
    assert len(faults_of(disturbed)) == 1


def test_incident_that_is_not_played_shows_its_reason_and_is_no_fault() -> None:
    record = replace(APP, phases=(CALM, PhaseRecord(Phase.LEAK, missing="its code is fixed")))
    assert faults_of(record) == []
    assert "| Shop | leak |  |  | not played: its code is fixed |" in page({"shop": record})


def test_fault_stays_on_the_page() -> None:
    record = replace(APP, phases=(CALM, replace(LOCK, shown=(Shown("leaking", 9.0),))))
    assert (
        "| Shop | lock |  | PoolBlocked/critical 40 s | never `blocked`; `leaking` after 9 s |"
        in (page({"shop": record}))
    )


def test_record_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("records")
    write_record(APP, folder)
    assert read_records(folder) == {"shop": APP}
