"""Sessions that callers lost are named by their reason, beside any diagnosis or as its cause."""

from dataclasses import replace

import pytest

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind, InvalidationReason
from poolscope_exporter.core.fleet.growth import Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, diagnose

CALM = PoolNumbers(used=1, max=15, pending=0, held_total=0)
LATELY = "sessions in the last 30 s"
REFUSED = (catalogue.CONNECT_ERRORS.name, ConnectErrorKind.REFUSED.value)


def losing(**counts: float) -> dict[tuple[str, str], float]:
    return {(catalogue.INVALIDATED.name, reason): count for reason, count in counts.items()}


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            "idle_in_transaction_timeout",
            "the server ended 5 sessions by idle_in_transaction_session_timeout in the last 30 s",
        ),
        (
            "idle_session_timeout",
            "the server ended 5 sessions by idle_session_timeout in the last 30 s",
        ),
        (
            "transaction_timeout",
            "the server ended 5 sessions by transaction_timeout in the last 30 s",
        ),
        ("admin", f"an administrator, a shutdown or a crash of the server ended 5 {LATELY}"),
        (
            "timeout",
            "the driver gave up 5 sessions at its time limit of a statement in the last 30 s",
        ),
        ("broken", "a protocol error ended 5 sessions in the last 30 s"),
        ("socket", "the server or the network closed the socket of 5 sessions in the last 30 s"),
        (
            "error",
            "callers lost 5 sessions for a reason that the driver does not report in the last 30 s",
        ),
    ],
)
def test_first_reason_names_why_sessions_were_lost(reason: str, sentence: str) -> None:
    found = diagnose(replace(CALM, growth=Growth(losing(**{reason: 5.0}))), [], None)
    assert found.reasons == (sentence,)


def test_one_lost_session_is_counted_in_the_singular() -> None:
    found = diagnose(replace(CALM, growth=Growth(losing(broken=1.0))), [], None)
    assert found.reasons == ("a protocol error ended 1 session in the last 30 s",)


def test_idle_transactions_that_the_server_ended_are_the_cause() -> None:
    growth = Growth(losing(idle_in_transaction_timeout=2.0, socket=3.0), hurt_at_s=7.0)
    found = diagnose(replace(CALM, growth=growth), [], None)
    assert found.diagnosis is Diagnosis.HELD_IDLE
    assert found.evidence_at_s == 7.0
    assert [reason.split(" ")[:3] for reason in found.reasons] == [
        ["the", "server", "or"],
        ["the", "server", "ended"],
    ]


@pytest.mark.parametrize(
    "reason",
    [InvalidationReason.ADMIN, InvalidationReason.SOCKET, InvalidationReason.ERROR],
)
def test_sessions_that_were_lost_otherwise_have_no_cause_in_the_pool(reason: str) -> None:
    found = diagnose(replace(CALM, growth=Growth(losing(**{reason: 1.0}))), [], None)
    assert found.diagnosis is Diagnosis.UNKNOWN


def test_lost_sessions_come_before_the_pressure_on_a_pool() -> None:
    numbers = PoolNumbers(used=15, max=15, pending=0, held_total=0)
    found = diagnose(replace(numbers, growth=Growth(losing(admin=1.0))), [], None)
    assert found.reasons[0].startswith("an administrator")
    assert found.reasons[1] == "all 15 connections are in use"


def test_lost_sessions_stand_beside_another_cause() -> None:
    growth = Growth({REFUSED: 6.0, **losing(admin=2.0)})
    found = diagnose(replace(CALM, growth=growth), [], None)
    assert found.diagnosis is Diagnosis.CONNECT_FAILING
    assert found.reasons[-1].startswith("an administrator, a shutdown or a crash")
    assert len(found.reasons) == 2


@pytest.mark.parametrize("reason", ["ping", "lost_while_idle", "cancelled", "requested"])
def test_connection_that_no_statement_met_leaves_the_pool_healthy(reason: str) -> None:
    found = diagnose(replace(CALM, growth=Growth(losing(**{reason: 5.0}))), [], None)
    assert found.diagnosis is Diagnosis.HEALTHY
    assert not any("session" in sentence for sentence in found.reasons)
