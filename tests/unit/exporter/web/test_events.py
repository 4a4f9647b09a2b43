"""Events: one line per change, and none without."""

import json
from dataclasses import replace

import pytest

from poolscope.catalogue import Publisher
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.waiter_groups import group_waiters
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.web import events as module
from poolscope_exporter.web.events import Event, Events
from support.exporter.builders import (
    a_checkout,
    a_pool,
    a_session,
    a_waiting_caller,
    an_instance,
)
from support.exporter.processes import an_instance_state

UNKNOWN_NUMBERS = PoolNumbers()
AN_INSTANCE = an_instance_state({"host.name": "node-1", "process.pid": "17"})


def with_verdict(verdict: Verdict | None, checkout_id: int = 1) -> Situation:
    """Return a situation with one checkout of that verdict; None is none at all."""
    if verdict is None:
        return Situation((), (), (), (), 0.0)
    link = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    checkout = a_checkout(checkout_id)
    judgement = Judgement(checkout, 5.0, verdict, None, None, link, confirmed=True)
    return Situation((judgement,), (), (), (AN_INSTANCE,), 0.0)


def with_diagnosis(
    diagnosis: Diagnosis, numbers: PoolNumbers = UNKNOWN_NUMBERS, *, is_probable: bool = False
) -> Situation:
    found = PoolDiagnosis(diagnosis, ("why",), is_probable, since_s=1.5)
    return Situation((), (PoolAssessment(a_pool(), numbers, found),), (), (AN_INSTANCE,), 0.0)


def slow_queries(*, is_probable: bool) -> Situation:
    return with_diagnosis(Diagnosis.SLOW_QUERIES, is_probable=is_probable)


def events_of(*situations: Situation) -> list[Event]:
    events = Events()
    return [event for situation in situations for event in events.changes(situation)]


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ([Verdict.LEAKED], [(None, "leaked")]),
        ([Verdict.LEAKED, Verdict.LEAKED], [(None, "leaked")]),
        ([Verdict.WORKING], []),
        ([Verdict.UNKNOWN], []),
        ([Verdict.UNCONFIRMED], []),
        ([Verdict.WORKING, Verdict.SLOW_QUERY], [("working", "slow_query")]),
        ([Verdict.UNCONFIRMED, Verdict.LEAKED], [(None, "leaked")]),
        ([Verdict.LEAKED, Verdict.UNCONFIRMED, Verdict.LEAKED], [(None, "leaked")]),
        ([Verdict.LEAKED, Verdict.WORKING], [(None, "leaked"), ("leaked", "working")]),
        ([Verdict.LEAKED, None, Verdict.LEAKED], [(None, "leaked"), (None, "leaked")]),
    ],
)
def test_each_change_of_verdict_is_told_once(
    verdicts: list[Verdict | None], told: list[tuple[str | None, str]]
) -> None:
    events = events_of(*map(with_verdict, verdicts))

    changes = [event for event in events if event["event"] == "verdict"]
    assert [(event["previous"], event["verdict"]) for event in changes] == told


@pytest.mark.parametrize(
    ("diagnoses", "told"),
    [
        ([Diagnosis.HEALTHY], []),
        ([Diagnosis.UNKNOWN], []),
        ([Diagnosis.LEAKING, Diagnosis.LEAKING], [(None, "leaking")]),
        ([Diagnosis.HEALTHY, Diagnosis.UNDERSIZED], [("healthy", "undersized")]),
        ([Diagnosis.BLOCKED, Diagnosis.HEALTHY], [(None, "blocked"), ("blocked", "healthy")]),
    ],
)
def test_each_change_of_diagnosis_is_told_once(
    diagnoses: list[Diagnosis], told: list[tuple[str | None, str]]
) -> None:
    events = events_of(*map(with_diagnosis, diagnoses))

    assert [(event["previous"], event["diagnosis"]) for event in events] == told


def test_a_probable_diagnosis_is_written_once_more_when_it_is_confirmed() -> None:
    probable, sure = slow_queries(is_probable=True), slow_queries(is_probable=False)

    events = events_of(probable, probable, sure, probable, sure)

    assert [(event["previous"], event["is_probable"]) for event in events] == [
        (None, True),
        ("slow_queries", False),
    ]


def test_a_diagnosis_that_comes_back_is_probable_again() -> None:
    probable, sure = slow_queries(is_probable=True), slow_queries(is_probable=False)

    events = events_of(sure, with_diagnosis(Diagnosis.HEALTHY), probable, sure)

    assert [(event["diagnosis"], event["is_probable"]) for event in events] == [
        ("slow_queries", False),
        ("healthy", False),
        ("slow_queries", True),
        ("slow_queries", False),
    ]


def test_a_line_on_a_pool_holds_the_diagnosis_and_its_waiting_callers() -> None:
    callers = group_waiters(3, [a_waiting_caller(2.0), a_waiting_caller(4.0)])
    numbers = PoolNumbers(pending=5, waiters=callers)
    situation = with_diagnosis(Diagnosis.FULL, numbers, is_probable=True)
    (line,) = Events().lines(situation, "2026-01-01T00:00:00.000+00:00")

    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.000+00:00",
        "event": "diagnosis",
        "service": "shop",
        "service_namespace": "acme",
        "service_instance_id": "shop-1",
        "process": "node-1:17",
        "pool": "orders",
        "db_namespace": "orders",
        "server_address": "10.0.0.1",
        "server_port": 5432,
        "previous": None,
        "diagnosis": "full",
        "is_probable": True,
        "diagnosis_age_s": 1.5,
        "reasons": ["why"],
        "pending": 5,
        "waiters": [
            {
                "phase": "queue",
                "route": "/report",
                "code_file": "shop/report.py",
                "code_line": 20,
                "code_function": "report",
                "age_s": 4.0,
                "count": 2,
                "now": None,
            }
        ],
        "waiters_waiting": 3,
        "waiters_listed": 2,
    }


def test_a_line_holds_the_evidence_that_outlives_the_process() -> None:
    (line,) = Events().lines(with_verdict(Verdict.HELD_IDLE), "2026-01-01T00:00:00.000+00:00")

    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.000+00:00",
        "event": "verdict",
        "service": "shop",
        "service_namespace": "acme",
        "service_instance_id": "shop-1",
        "process": "node-1:17",
        "pool": "orders",
        "checkout_id": 1,
        "route": "/orders",
        "code_file": "shop/orders.py",
        "code_line": 42,
        "code_function": "place_order",
        "verdict": "held_idle",
        "previous": None,
        "reason": None,
        "evidence": None,
        "age_s": 5.0,
        "backend_pid": 4711,
        "server_state": "idle",
        "link": "address",
        "trace_id": None,
        "now": None,
        "blocked_by": [],
    }
    assert line.endswith("}\n")


def test_nothing_is_remembered_of_checkouts_and_pools_that_are_gone() -> None:
    events = Events()
    events.changes(with_verdict(Verdict.LEAKED))
    events.changes(with_diagnosis(Diagnosis.LEAKING))
    events.changes(with_verdict(None))

    assert (events._checkouts, events._diagnoses) == ({}, {})


def test_a_blocked_checkout_names_its_blockers_with_their_identity() -> None:
    session = a_session(99, user="etl", state=SessionState.IDLE_IN_TRANSACTION)
    situation = with_verdict(Verdict.BLOCKED)
    blocked = replace(
        situation.judgements[0],
        blocked_by=(Blocker(99, None, session=session), Blocker(98, a_checkout(8))),
    )

    [event] = events_of(replace(situation, judgements=(blocked,)))

    stranger, holder = event["blocked_by"]
    assert (stranger["backend_pid"], stranger["session"]["role"]) == (99, "etl")
    assert (holder["backend_pid"], holder["route"], holder["code_line"]) == (98, "/orders", 42)
    assert holder["process"] == "node-1:17"


def gone(
    *,
    is_live: bool = True,
    ended: bool = False,
    held: int | None = 0,
    listed: int | None = 0,
    is_known: bool = True,
) -> Situation:
    """Return a situation without the checkout, in which its pool holds and lists so many."""
    numbers = PoolNumbers(held_total=held, listed_total=listed)
    pool = PoolAssessment(a_pool(), numbers, PoolDiagnosis(Diagnosis.HEALTHY, ()))
    state = InstanceState(
        an_instance(), {}, 1.0, 5.0, Publisher.EXPORTER, ended=ended, is_live=is_live
    )
    return Situation((), (pool,), (), (state,) if is_known else (), 0.0)


@pytest.mark.parametrize(
    ("situation", "ended_by"),
    [
        (gone(), "application"),
        (gone(held=3, listed=3), "application"),
        (gone(held=3, listed=2), None),
        (gone(held=None, listed=None), None),
        (gone(is_live=False), None),
        (gone(is_live=False, ended=True), "process_end"),
        (gone(is_known=False), "silence"),
    ],
)
def test_the_end_of_a_held_checkout_is_one_event_where_it_is_known(
    situation: Situation, ended_by: str | None
) -> None:
    _, *ends = events_of(with_verdict(Verdict.HELD_IDLE), situation, situation)

    assert [event["ended_by"] for event in ends] == ([] if ended_by is None else [ended_by])


def test_an_end_has_the_identity_of_the_checkout_and_its_last_verdict() -> None:
    _, end = events_of(with_verdict(Verdict.HELD_IDLE), gone())

    assert end == {
        "event": "checkout_ended",
        "service": "shop",
        "service_namespace": "acme",
        "service_instance_id": "shop-1",
        "process": "node-1:17",
        "pool": "orders",
        "checkout_id": 1,
        "route": "/orders",
        "code_file": "shop/orders.py",
        "code_line": 42,
        "code_function": "place_order",
        "previous": "held_idle",
        "ended_by": "application",
        "age_s": 5.0,
        "backend_pid": 4711,
        "trace_id": None,
    }


def test_the_end_of_a_process_that_was_dropped_still_has_its_name() -> None:
    leaked, silent = with_verdict(Verdict.LEAKED), gone(is_live=False)

    _, end = events_of(leaked, silent, gone(is_known=False))

    assert (end["ended_by"], end["process"]) == ("silence", "node-1:17")


@pytest.mark.parametrize("verdict", [Verdict.WORKING, Verdict.UNKNOWN, Verdict.UNCONFIRMED])
def test_the_end_of_a_checkout_that_no_line_reported_is_no_event(verdict: Verdict) -> None:
    assert events_of(with_verdict(verdict), gone()) == []


def test_a_checkout_that_comes_back_after_a_silence_has_no_second_line_and_one_end() -> None:
    leaked, silent = with_verdict(Verdict.LEAKED), gone(is_live=False)

    events = events_of(leaked, silent, silent, leaked, gone())

    assert [event["event"] for event in events] == ["verdict", "checkout_ended"]


def test_checkouts_with_an_unknown_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MISSING", 1)
    both = [with_verdict(Verdict.LEAKED, number).judgements[0] for number in (1, 2)]
    silent = gone(is_live=False)

    _, _, end = events_of(replace(silent, judgements=tuple(both)), silent, gone())

    assert end["checkout_id"] == 2
