"""An outcome is judged by its record: what was right first, in time, few and over."""

from dataclasses import replace

import pytest

from poolscope_generators.incidents.outcome import Outcome, judge
from poolscope_generators.incidents.record import Delays, Fired, Record, Sent, Shown
from poolscope_generators.incidents.truth import Truth

LOCK = Truth("lock", "a lock", "its end", ("blocked",), ("PoolBlocked",))
HEALTHY = Truth("hand-off", "nothing", "nothing", ("healthy",), ())
DELAYS = Delays({"PoolBlocked/critical": 60.0, "PoolBlocked/warning": 60.0}, {"pager": 10.0})
DUE_S = 60 + 45


def sent(at_s: float, name: str = "PoolBlocked", **given: str) -> Sent:
    told = {"receiver": "pager", "status": "firing", "severity": "critical", **given}
    return Sent(at_s, name=name, text="", **told)


def outcome_of(*messages: Sent, truth: Truth = LOCK, **given: object) -> Outcome:
    record = Record(truth, 300.0, 840.0, (Shown(4.0, "a1", "blocked"),), (), messages, DELAYS)
    return judge(replace(record, **given))  # type: ignore[arg-type]  # the keywords vary


def test_the_right_message_in_time_meets_every_target() -> None:
    assert outcome_of(sent(DUE_S)).misses == []


def test_a_message_is_late_just_after_it_is_due() -> None:
    assert outcome_of(sent(DUE_S + 0.1)).misses == ["message in time"]


def test_evidence_that_takes_time_by_design_makes_the_message_due_later() -> None:
    late = replace(LOCK, evidence_after_s=20.0)
    assert outcome_of(sent(DUE_S + 20), truth=late).is_sent_in_time


def test_another_receiver_waits_for_longer() -> None:
    delays = replace(DELAYS, group_wait_s={"team": 30.0})
    message = sent(DUE_S + 20, receiver="team", severity="warning")
    assert outcome_of(message, delays=delays).is_sent_in_time


def test_a_wrong_name_before_the_right_one_is_not_named_first() -> None:
    outcome = outcome_of(sent(20, "PoolExhausted"), sent(90))
    assert outcome.misses == ["right name first"]


def test_a_message_from_before_the_incident_is_not_its_first() -> None:
    assert outcome_of(sent(-3, "PoolExhausted"), sent(90)).is_named_first


def test_the_right_name_with_the_wrong_severity_is_not_right() -> None:
    info = replace(LOCK, severity="info")
    assert not outcome_of(sent(90), truth=info).is_named_first


@pytest.mark.parametrize(("at_s", "is_in_time"), [(15.0, True), (15.1, False)])
def test_a_diagnosis_is_due_within_15_seconds(at_s: float, is_in_time: bool) -> None:
    outcome = outcome_of(sent(90), shown=(Shown(at_s, "a1", "blocked"),))
    assert outcome.is_diagnosed_in_time is is_in_time


def test_a_right_diagnosis_after_the_cure_is_none() -> None:
    assert outcome_of(sent(90), shown=(Shown(301.0, "a1", "blocked"),)).diagnosed is None


def test_an_incident_that_no_exporter_sees_needs_no_diagnosis() -> None:
    unseen = replace(LOCK, diagnosis=())
    assert outcome_of(sent(90), truth=unseen, shown=()).is_diagnosed_in_time


@pytest.mark.parametrize(("messages", "is_one_page"), [(2, True), (3, False)])
def test_two_critical_messages_are_the_most(messages: int, is_one_page: bool) -> None:
    assert outcome_of(*(sent(90.0 + n) for n in range(messages))).is_one_page is is_one_page


def test_alerts_of_one_notification_are_one_message() -> None:
    assert outcome_of(sent(90), sent(90, "PoolExhausted"), sent(90, "PoolStuck")).critical == 1


def test_what_the_team_receives_is_not_critical() -> None:
    outcome = outcome_of(sent(90), sent(91, "PoolFull", receiver="team", severity="warning"))
    assert (outcome.critical, outcome.others) == (1, 1)


@pytest.mark.parametrize(("at_s", "is_quiet"), [(300.0, True), (300.1, False)])
def test_a_critical_message_after_the_cure_is_one_too_many(at_s: float, is_quiet: bool) -> None:
    assert outcome_of(sent(90), sent(at_s)).is_quiet_after is is_quiet


def test_a_resolved_message_after_the_cure_is_welcome() -> None:
    outcome = outcome_of(sent(90), sent(500, status="resolved"))
    assert outcome.is_quiet_after
    assert outcome.resolved_s == 200


def test_calm_is_when_the_last_alert_stopped_firing() -> None:
    fired = (Fired("PoolBlocked", "critical", 70, 420), Fired("PoolFull", "warning", 70, 310))
    assert outcome_of(sent(90), fired=fired).calm_s == 120


def test_an_alert_that_still_fires_at_the_end_leaves_no_calm() -> None:
    assert outcome_of(fired=(Fired("PoolBlocked", "critical", 70, 839),)).calm_s is None


def test_nothing_is_right_of_what_is_harmless() -> None:
    healthy = (Shown(1.0, "a1", "healthy", "no sign of trouble"),)
    assert outcome_of(truth=HEALTHY, shown=healthy).misses == []


def test_any_message_and_any_diagnosis_of_what_is_harmless_are_wrong() -> None:
    leaking = (Shown(1.0, "a1", "leaking", "1 of 8 connections"),)
    outcome = outcome_of(sent(90, "PoolLeak"), truth=HEALTHY, shown=leaking)
    assert outcome.misses == ["right name first", "diagnosis in time"]


def test_no_message_at_all_names_nothing() -> None:
    assert outcome_of().misses == ["right name first", "message in time"]
