"""An incident has a bounded size, and each sender a bounded share of all incidents."""

import json
from dataclasses import asdict, replace

import pytest

from poolscope.catalogue import Phase
from poolscope_exporter.core.fleet.waiter_groups import PoolWaiters, WaiterGroup
from poolscope_exporter.core.incidents.incident import (
    MAX_TEXT,
    CauseChange,
    Incident,
    ReportedTimeout,
    TimelinePoint,
    shortened,
    shortened_line,
)
from poolscope_exporter.core.incidents.incident_log import IncidentLog
from poolscope_exporter.core.incidents.room import PROTECTED_S, replaced_by
from poolscope_exporter.core.incidents.timeline import (
    FIRST_CHANGES,
    MAX_CHANGES,
    MAX_POINTS,
    with_change,
    with_point,
)
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.receiver.attributes import MAX_REPORT_LENGTH
from support.exporter.builders import a_checkout
from support.exporter.incident_looks import (
    EPOCH_S,
    a_judgement,
    a_look,
    a_state,
    an_incident,
    observed,
)

LONG = "\N{SNAKE}" * 256
NOW_S = EPOCH_S + 1000


def a_point(at_s: float, waiting: int | None = 0) -> TimelinePoint:
    return TimelinePoint(at_s, Diagnosis.FULL, 5, 5, waiting)


def test_a_long_incident_keeps_its_whole_course_in_few_points() -> None:
    incident = an_incident()
    for second in range(10_000):
        incident = with_point(incident, a_point(float(second), waiting=9 if second == 5 else 0))

    assert len(incident.timeline) <= MAX_POINTS
    assert incident.timeline[0].at_s == 0.0
    assert incident.timeline[-1].at_s > 10_000 - 2 * incident.step_s
    assert max(point.waiting or 0 for point in incident.timeline) == 9


def test_a_point_keeps_the_worse_diagnosis_of_its_step() -> None:
    incident = replace(an_incident(), step_s=10.0)
    for at_s, diagnosis in (
        (0.0, Diagnosis.HEALTHY),
        (1.0, Diagnosis.BLOCKED),
        (2.0, Diagnosis.FULL),
    ):
        incident = with_point(incident, replace(a_point(at_s), diagnosis=diagnosis))

    assert [point.diagnosis for point in incident.timeline] == [Diagnosis.BLOCKED]


def test_a_diagnosis_that_flaps_keeps_its_first_and_last_changes() -> None:
    incident = an_incident()
    for number in range(200):
        cause = Diagnosis.FULL if number % 2 else Diagnosis.BLOCKED
        incident = with_change(incident, CauseChange(float(number), cause, "why"))

    assert len(incident.changes) == MAX_CHANGES
    assert incident.changes_left_out == 201 - MAX_CHANGES
    assert [each.at_s for each in incident.changes[1:FIRST_CHANGES]] == list(
        range(FIRST_CHANGES - 1)
    )
    assert incident.changes[-1].at_s == 199


def test_the_largest_incident_that_senders_can_make_is_small() -> None:
    log = IncidentLog()
    now = NowPlace(LONG, 1, LONG, LONG)
    judgements = [
        a_judgement(
            Verdict.LEAKED,
            replace(
                a_checkout(number, route=f"{number}{LONG}"),
                code_file=f"{number}{LONG}",
                code_line=number,
                now=replace(now, code_file=f"{number}{LONG}"),
            ),
        )
        for number in range(1000)
    ]
    groups = tuple(WaiterGroup(Phase.QUEUE, LONG, LONG, n, LONG, 1.0, 1) for n in range(1000))
    state = a_state(waiting=1000, timeouts=5.0, reasons=(LONG * 10,) * 50)
    waiters = PoolWaiters(1000, 1000, groups)
    state = replace(state, numbers=replace(state.numbers, waiters=waiters))
    observed(log, a_look(0.0, state, judgements=judgements))
    (incident,) = log.newest_first()
    for number in range(500):
        cause = Diagnosis.FULL if number % 2 else Diagnosis.BLOCKED
        incident = with_change(incident, CauseChange(float(number), cause, LONG))
        incident = with_point(incident, a_point(float(number)))

    report = ReportedTimeout(NOW_S, LONG, "\N{SNAKE}" * MAX_REPORT_LENGTH)
    log.add_report(incident.pool, report, incident.owner, NOW_S)
    incident = replace(incident, timeout_report=log.newest_first()[0].timeout_report)

    assert incident.timeout_report == report
    assert incident.worst.more_holders == 990
    assert len(json.dumps(asdict(incident), ensure_ascii=False).encode()) < 150_000


@pytest.mark.parametrize("length", [MAX_TEXT, MAX_TEXT + 1])
def test_a_long_line_of_code_keeps_its_number(length: int) -> None:
    line = "x" * (length - 4) + ":133"
    assert shortened_line(line).endswith(":133")
    assert (shortened_line(line) == line) is (length == MAX_TEXT)
    assert len(shortened_line(line)) == len(shortened(line)) == MAX_TEXT


def kept(*owners: str, ended: bool = True, count: int = 1) -> list[Incident]:
    return [
        replace(
            an_incident(began_at_s=EPOCH_S + number),
            id=f"{owner}-{number}",
            owner=owner,
            ended=an_incident().ended if ended else None,
        )
        for number, owner in enumerate(owner for owner in owners for _ in range(count))
    ]


@pytest.mark.parametrize(
    ("owner", "incidents", "replaced"),
    [
        ("a", kept("a", count=5), "a-0"),
        ("b", kept("a", count=5), "a-0"),
        ("b", kept("a", count=5, ended=False), "a-4"),
        ("a", kept("a", count=5, ended=False), None),
        ("a", [*kept("a", count=3, ended=False), *kept("b", "c")], None),
        ("b", [*kept("a", count=2, ended=False), *kept("b", ended=False)], None),
        ("b", [*kept("a", count=3, ended=False), *kept("b", ended=False)], "a-2"),
        ("d", kept("a", "b", "c"), "a-0"),
    ],
)
def test_a_sender_with_many_incidents_gives_way_and_pushes_out_nobody(
    owner: str, incidents: list[Incident], replaced: str | None
) -> None:
    assert replaced_by(owner, incidents, NOW_S) == replaced


@pytest.mark.parametrize(("age_s", "replaced"), [(PROTECTED_S - 1, None), (PROTECTED_S, "b-0")])
def test_an_incident_of_a_small_sender_is_protected_for_a_day(
    age_s: float, replaced: str | None
) -> None:
    incidents = [*kept("a", count=3, ended=False), *kept("b")]
    assert replaced_by("a", incidents, incidents[-1].evidence_at_s + age_s) == replaced
