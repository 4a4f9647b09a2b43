"""Events: one line per change, and none without."""

import json

import pytest

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.situation import PoolAssessment, Situation
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.web.events import Event, Events
from support.exporter.builders import a_checkout, a_pool, a_session


def with_verdict(verdict: Verdict | None, checkout_id: int = 1) -> Situation:
    """Return a situation with one checkout of that verdict; None is none at all."""
    if verdict is None:
        return Situation((), (), (), (), 0.0)
    link = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    checkout = a_checkout(checkout_id)
    judgement = Judgement(checkout, 5.0, verdict, None, None, link, confirmed=True)
    return Situation((judgement,), (), (), (), 0.0)


def with_diagnosis(diagnosis: Diagnosis) -> Situation:
    state = PoolAssessment(a_pool(), PoolNumbers(), PoolDiagnosis(diagnosis, ("why",)))
    return Situation((), (state,), (), (), 0.0)


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

    assert [(event["previous"], event["verdict"]) for event in events] == told


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


def test_a_line_holds_the_evidence_that_outlives_the_process() -> None:
    (line,) = Events().lines(with_verdict(Verdict.HELD_IDLE), "2026-01-01T00:00:00.000+00:00")

    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.000+00:00",
        "event": "verdict",
        "service": "shop",
        "service_namespace": "acme",
        "service_instance_id": "shop-1",
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
    }
    assert line.endswith("}\n")


def test_nothing_is_remembered_of_checkouts_and_pools_that_are_gone() -> None:
    events = Events()
    events.changes(with_verdict(Verdict.LEAKED))
    events.changes(with_diagnosis(Diagnosis.LEAKING))
    events.changes(with_verdict(None))

    assert (events._verdicts, events._diagnoses) == ({}, {})
