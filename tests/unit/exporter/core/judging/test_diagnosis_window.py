"""A diagnosis turns bad at once, and good when the window holds no evidence any more."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.diagnosis_window import DiagnosisWindows
from support.exporter.builders import a_pool


def found(diagnosis: Diagnosis) -> PoolDiagnosis:
    return PoolDiagnosis(diagnosis, (f"because {diagnosis}",))


def settled(
    *looks: Diagnosis, every_s: float = 1.0, waiting: int | list[int] = 0
) -> list[PoolDiagnosis]:
    windows = DiagnosisWindows()
    counts = waiting if isinstance(waiting, list) else [waiting] * len(looks)
    return [
        windows.settle(a_pool(), found(look), counts[number], 100.0 + number * every_s)
        for number, look in enumerate(looks)
    ]


HEALTHY, FULL, SLOW = Diagnosis.HEALTHY, Diagnosis.FULL, Diagnosis.SLOW_QUERIES


@pytest.mark.parametrize("cause", [each for each in Diagnosis if each is not HEALTHY])
def test_every_cause_is_shown_at_its_first_look(cause: Diagnosis) -> None:
    assert settled(HEALTHY, cause)[-1].diagnosis is cause


@pytest.mark.parametrize("cause", [Diagnosis.CONNECT_FAILING, SLOW, FULL])
def test_a_cause_is_left_when_the_window_holds_no_evidence_of_it(cause: Diagnosis) -> None:
    shown = settled(cause, *[HEALTHY] * (int(WINDOW_S) + 1))
    assert {each.diagnosis for each in shown[:-1]} == {cause}
    assert shown[-1].diagnosis is HEALTHY


def test_a_pool_that_calms_down_says_since_when_and_keeps_its_reasons() -> None:
    last = settled(SLOW, HEALTHY, HEALTHY)[-1]
    assert last.reasons == ("calm for 2 s: because healthy", "before that: because slow_queries")


def test_the_window_begins_at_the_last_evidence_and_not_at_the_last_look() -> None:
    windows, failing = (
        DiagnosisWindows(),
        replace(found(Diagnosis.CONNECT_FAILING), evidence_at_s=100.0),
    )
    for now_s in range(100, 130):
        told = windows.settle(a_pool(), failing, 0, float(now_s))
        assert told.diagnosis is Diagnosis.CONNECT_FAILING
    assert windows.settle(a_pool(), found(HEALTHY), 0, 130.0).diagnosis is Diagnosis.CONNECT_FAILING
    assert windows.settle(a_pool(), found(HEALTHY), 0, 130.1).diagnosis is HEALTHY


def test_unknown_alone_does_not_outlive_its_look() -> None:
    assert settled(Diagnosis.UNKNOWN, HEALTHY)[-1].diagnosis is HEALTHY


def test_a_look_without_a_cause_keeps_the_established_one() -> None:
    assert settled(SLOW, FULL, Diagnosis.UNKNOWN)[-1].diagnosis is SLOW


def test_a_cause_replaces_full_at_once() -> None:
    assert settled(FULL, FULL, FULL, SLOW)[-1].diagnosis is SLOW


def test_of_two_causes_the_one_that_cost_more_caller_seconds_is_shown() -> None:
    looks = [SLOW, SLOW, Diagnosis.BLOCKED, Diagnosis.BLOCKED]
    assert settled(*looks, waiting=[1, 1, 9, 9])[-1].diagnosis is Diagnosis.BLOCKED
    assert settled(*looks, waiting=[9, 9, 1, 1])[-1].diagnosis is SLOW


@pytest.mark.parametrize(
    ("before", "known"),
    [
        (Diagnosis.HELD_IDLE, Diagnosis.LEAKING),
        (Diagnosis.UNDERSIZED, Diagnosis.SERVER_SLOW),
    ],
)
def test_a_trouble_of_which_more_is_known_was_that_from_the_start(
    before: Diagnosis, known: Diagnosis
) -> None:
    assert settled(*[before] * 25, known)[-1].diagnosis is known


def test_a_leak_that_is_only_probable_leaves_the_holders_idle() -> None:
    windows = DiagnosisWindows()
    probable = replace(found(Diagnosis.LEAKING), is_probable=True)
    for now_s in range(100, 125):
        windows.settle(a_pool(), found(Diagnosis.HELD_IDLE), 0, float(now_s))
    assert windows.settle(a_pool(), probable, 0, 125.0).diagnosis is Diagnosis.HELD_IDLE


def test_of_equal_causes_the_graver_one_is_shown() -> None:
    assert settled(SLOW, Diagnosis.LEAKING, every_s=0.0)[-1].diagnosis is Diagnosis.LEAKING


def test_a_diagnosis_that_flaps_between_looks_does_not_flap_for_the_reader() -> None:
    shown = settled(*[SLOW, FULL, HEALTHY, SLOW] * 5)
    assert {each.diagnosis for each in shown} == {SLOW}
    assert [each.since_s for each in shown] == [float(number) for number in range(20)]


def test_since_begins_again_with_another_diagnosis() -> None:
    assert [each.since_s for each in settled(HEALTHY, HEALTHY, SLOW, SLOW)] == [0.0, 1.0, 0.0, 1.0]


def test_the_answer_does_not_depend_on_how_often_somebody_looks() -> None:
    seldom = settled(*[SLOW] * 3, *[Diagnosis.BLOCKED] * 4, every_s=4.0)
    often = settled(*[SLOW] * 12, *[Diagnosis.BLOCKED] * 16, every_s=1.0)
    assert seldom[-1].diagnosis is often[-1].diagnosis is Diagnosis.BLOCKED


def test_a_pool_that_is_gone_begins_anew() -> None:
    windows = DiagnosisWindows()
    windows.settle(a_pool(), found(SLOW), 0, 100.0)
    windows.drop_others([])
    assert windows.settle(a_pool(), found(HEALTHY), 0, 101.0).diagnosis is HEALTHY


@pytest.mark.parametrize("calm_looks", [0, 1, 20])
def test_a_diagnosis_has_the_time_of_the_newest_evidence_of_any_problem(calm_looks: int) -> None:
    last = settled(SLOW, FULL, *[HEALTHY] * calm_looks)[-1]
    assert last.evidence_at_s == 101.0


def test_without_any_problem_there_is_no_time_of_evidence() -> None:
    assert settled(HEALTHY, Diagnosis.UNKNOWN)[-1].evidence_at_s is None
