"""An incident begins with evidence, ends two minutes after the last, and keeps its worst moment."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.incidents.incident import CALM_S, QUIET, Incident, IncidentEnd
from poolscope_exporter.core.incidents.incident_log import (
    GAP_S,
    RESUMES_S,
    SAVE_EVERY_S,
    IncidentLog,
)
from poolscope_exporter.core.incidents.room import MAX_INCIDENTS
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.verdicts import Verdict
from support.exporter.builders import a_checkout, a_pool, an_instance
from support.exporter.incident_looks import (
    EPOCH_S,
    a_judgement,
    a_look,
    a_state,
    an_incident,
    observed,
)
from support.exporter.processes import an_instance_state

HEALTHY = a_state(Diagnosis.HEALTHY)
SLOW = a_state(Diagnosis.SLOW_QUERIES)


def only(log: IncidentLog) -> Incident:
    (incident,) = log.newest_first()
    return incident


def every_s(
    step_s: float, until_s: float, *states: object, since_s: float = 0.0
) -> list[Situation]:
    count = round((until_s - since_s) / step_s)
    return [a_look(since_s + step_s * number, *states) for number in range(count + 1)]  # type: ignore[arg-type]


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_every_problem_begins_an_incident_and_nothing_else_does(diagnosis: Diagnosis) -> None:
    log = IncidentLog()
    observed(log, a_look(10.0, a_state(diagnosis)))

    assert len(log.newest_first()) == (diagnosis not in QUIET)


@pytest.mark.parametrize(("calm_s", "is_over"), [(CALM_S - 1, False), (CALM_S, True)])
def test_an_incident_ends_two_minutes_after_its_last_evidence(calm_s: float, is_over: bool) -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, SLOW), a_look(10.0, SLOW))
    ended = observed(
        log, *every_s(30.0, 100.0, HEALTHY, since_s=10.0), a_look(10 + calm_s, HEALTHY)
    )

    assert len(ended) == is_over
    assert only(log).ended == (IncidentEnd.CALM if is_over else None)
    assert only(log).began_at_s == EPOCH_S
    assert only(log).evidence_at_s == EPOCH_S + 10


def test_a_pool_that_flaps_has_one_incident() -> None:
    log = IncidentLog()
    looks = [a_look(60.0 * n, SLOW if n % 2 else HEALTHY) for n in range(20)]

    assert observed(log, *looks) == []
    assert only(log).lasted_s == 60.0 * 18


def test_trouble_after_the_end_is_another_incident() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, SLOW), *every_s(30.0, 150.0, HEALTHY, since_s=30.0))
    observed(log, a_look(151.0, SLOW))

    assert [each.ended for each in log.newest_first()] == [None, IncidentEnd.CALM]


def test_evidence_of_a_counter_is_as_old_as_its_last_growth() -> None:
    log = IncidentLog()
    state = a_state(Diagnosis.CONNECT_FAILING, evidence_at_s=5.0)
    observed(log, a_look(20.0, state))

    assert only(log).began_at_s == EPOCH_S + 5


def test_a_leak_that_is_never_returned_does_not_keep_its_incident_open() -> None:
    log = IncidentLog()
    leaking = a_state(Diagnosis.LEAKING, leaks_total=1)
    looks = [
        a_look(now_s, leaking, judgements=[a_judgement(Verdict.LEAKED, age_s=5.0 + now_s)])
        for now_s in range(0, 600, 5)
    ]
    ended = observed(log, *looks)

    assert [each.ended for each in ended] == [IncidentEnd.UNCHANGED]
    assert only(log).lasted_s == 0.0


@pytest.mark.parametrize("is_new", [True, False])
def test_a_new_leak_keeps_the_incident_of_an_old_one_open(is_new: bool) -> None:
    log = IncidentLog()
    first, second = (a_judgement(Verdict.LEAKED, a_checkout(n)) for n in (1, 2))
    leaking = a_state(Diagnosis.LEAKING)
    looks = [a_look(now_s, leaking, judgements=[first]) for now_s in range(0, 101, 50)]
    both = [first, second] if is_new else [first]
    looks += [a_look(now_s, leaking, judgements=both) for now_s in range(110, 200, 10)]

    assert len(observed(log, *looks)) == (not is_new)


def test_a_leak_with_a_verdict_that_flickers_is_no_new_leak() -> None:
    log = IncidentLog()
    leaking = a_state(Diagnosis.LEAKING)
    verdicts = [Verdict.LEAKED, Verdict.UNCONFIRMED] * 30
    looks = [
        a_look(5.0 * number, leaking, judgements=[a_judgement(verdict)])
        for number, verdict in enumerate(verdicts)
    ]

    assert len(observed(log, *looks)) == 1


def test_callers_that_wait_for_leaked_connections_keep_the_incident_open() -> None:
    log = IncidentLog()
    leaking = a_state(Diagnosis.LEAKING, waiting=1)
    looks = every_s(5.0, 600.0, leaking)

    assert observed(log, *looks) == []


@pytest.mark.parametrize(("age_s", "begins"), [(CALM_S - 1, True), (CALM_S, False)])
def test_a_leak_from_before_the_exporter_began_is_no_new_incident(
    age_s: float, begins: bool
) -> None:
    log = IncidentLog()
    old = a_judgement(Verdict.LEAKED, age_s=age_s)
    observed(log, a_look(1000.0, a_state(Diagnosis.LEAKING, leaks_total=1), judgements=[old]))

    assert bool(log.newest_first()) is begins


def test_processes_of_one_pool_share_an_incident() -> None:
    log = IncidentLog()
    other = a_pool(an_instance("shop-2"))
    observed(log, a_look(0.0, SLOW, a_state(Diagnosis.FULL, other, waiting=7, used=3)))

    worst = only(log).worst
    assert (worst.processes, worst.used, worst.limit, worst.waiting) == (2, 8, 10, 7)
    assert worst.diagnosis is Diagnosis.FULL


def test_a_pool_that_no_process_pushes_ends_in_silence() -> None:
    log = IncidentLog()
    (ended,) = observed(log, a_look(0.0, SLOW), *every_s(30.0, 120.0, since_s=30.0))

    assert ended.ended is IncidentEnd.SILENCE


def test_the_cause_is_the_diagnosis_that_cost_callers_most_time() -> None:
    log = IncidentLog()
    looks = [a_look(float(n), a_state(Diagnosis.FULL, waiting=1)) for n in range(10)]
    looks += [a_look(10.0 + n, a_state(Diagnosis.BLOCKED, waiting=9)) for n in range(3)]
    observed(log, *looks)

    assert only(log).cause is Diagnosis.BLOCKED
    assert [each.diagnosis for each in only(log).changes] == [Diagnosis.FULL, Diagnosis.BLOCKED]


def test_the_worst_moment_keeps_holders_and_keeping_lines_until_a_worse_one_comes() -> None:
    log = IncidentLog()
    held = replace(a_checkout(route="/pay"), code_file="shop/pay.py", code_line=7)
    process = an_instance_state({"host.name": "node-1", "process.pid": "17"})
    for now_s, waiting in ((0.0, 3), (1.0, 8), (2.0, 5)):
        state = a_state(waiting=waiting)
        judgement = a_judgement(Verdict.SLOW_QUERY, replace(held, id=int(now_s)))
        observed(log, a_look(now_s, state, judgements=[judgement], instances=(process,)))

    worst = only(log).worst
    assert (worst.at_s, worst.waiting) == (EPOCH_S + 1, 8)
    (holder,) = worst.holders
    assert (holder.route, holder.taken_at, holder.process) == ("/pay", "shop/pay.py:7", "node-1:17")
    assert only(log).peaks.waiting == 8


def test_the_first_timeout_keeps_the_pool_as_it_was() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, a_state(waiting=9)))
    assert only(log).first_timeout is None
    observed(log, a_look(1.0, a_state(waiting=2, timeouts=4.0)), a_look(2.0, a_state(timeouts=6.0)))

    first = only(log).first_timeout
    assert first
    assert (first.at_s, first.waiting) == (EPOCH_S + 1, 2)
    assert only(log).peaks.timeouts == 6


def test_a_suspended_exporter_does_not_count_as_calm() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, SLOW), a_look(GAP_S * 10, HEALTHY))

    assert only(log).ended is None
    assert only(log).unobserved_s == GAP_S * 10
    assert observed(log, *every_s(60.0, 720.0, HEALTHY, since_s=660.0))


def test_more_incidents_than_are_kept_replace_the_oldest() -> None:
    log = IncidentLog(most=3)
    for number in range(5):
        pool = a_pool(name=f"pool-{number}")
        at_s = 1000.0 * number
        observed(log, a_look(at_s, a_state(pool=pool)))
        observed(log, *every_s(40.0, at_s + 120, since_s=at_s + 40))

    names = [each.pool.pool for each in log.newest_first()]
    assert names == ["pool-4", "pool-3", "pool-2"]
    changes = log.take_changes()
    assert changes
    assert {each.id for each in changes.kept} == {each.id for each in log.newest_first()}


def test_many_pools_at_once_begin_no_more_incidents_than_are_kept() -> None:
    log = IncidentLog()
    pools = [a_state(pool=a_pool(name=f"pool-{number}")) for number in range(200)]
    for now_s in range(5):
        observed(log, a_look(float(now_s), *pools))

    assert len(log.newest_first()) == MAX_INCIDENTS
    assert log.left_out > 0
    assert {each.began_at_s for each in log.newest_first()} == {EPOCH_S}


def test_changes_are_taken_once_and_a_lasting_incident_again_only_after_a_while() -> None:
    log = IncidentLog()
    observed(log, a_look(0.0, SLOW))
    changes = log.take_changes()
    assert changes
    assert changes.changed == {only(log).id}

    observed(log, a_look(1.0, SLOW))
    assert log.take_changes() is None
    observed(log, a_look(SAVE_EVERY_S, SLOW))
    assert log.take_changes()


def resumed(away_s: float, stored: Incident) -> IncidentLog:
    log = IncidentLog()
    log.resume_incidents([stored], now_s=5.0, wall_s=stored.evidence_at_s + away_s)
    return log


@pytest.mark.parametrize(
    ("away_s", "ended"), [(RESUMES_S, None), (RESUMES_S + 1, IncidentEnd.UNOBSERVED)]
)
def test_an_open_incident_goes_on_after_a_short_absence(
    away_s: float, ended: IncidentEnd | None
) -> None:
    log = resumed(away_s, an_incident(ended=None))

    assert only(log).ended is ended
    assert only(log).unobserved_s == (0 if ended else away_s)
    assert len(observed(log, a_look(6.0))) == bool(ended)


def test_a_resumed_incident_has_two_minutes_for_new_evidence() -> None:
    log = resumed(300.0, an_incident(ended=None))
    assert observed(log, *every_s(30.0, 120.0, since_s=30.0)) == []
    assert observed(log, a_look(125.0))


def test_a_resumed_incident_keeps_its_worst_moment_unless_a_worse_one_comes() -> None:
    stored = an_incident(ended=None)
    stored = replace(stored, worst=replace(stored.worst, waiting=50))
    log = resumed(10.0, stored)
    observed(log, a_look(6.0, a_state(waiting=4)))
    assert only(log).worst.waiting == 50

    observed(log, a_look(7.0, a_state(waiting=51)))
    assert only(log).worst.waiting == 51


def test_a_wall_clock_that_was_set_back_does_not_lose_an_incident() -> None:
    assert only(resumed(-5000.0, an_incident(ended=None))).unobserved_s == 0.0


def test_two_open_incidents_of_one_pool_in_the_state_become_one() -> None:
    log = IncidentLog()
    stored = [an_incident(n, ended=None, began_at_s=EPOCH_S + n) for n in (1, 2)]
    log.resume_incidents(stored, now_s=0.0, wall_s=EPOCH_S + 20)

    assert [each.ended for each in log.newest_first()] == [None, IncidentEnd.UNOBSERVED]
