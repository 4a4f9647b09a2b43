"""A diagnosis names the line that keeps the connections, and the end of a chain of locks."""

from collections import Counter
from dataclasses import replace

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, diagnose
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.now_places import KeepingLine, NowPlace
from poolscope_exporter.core.model.sessions import SessionState
from support.exporter.builders import a_checkout, a_session

HTTPX = NowPlace("shop/payments.py", 55, "pay", "httpx.AsyncClient.get", 11, 11.2)
LOOP = NowPlace("shop/report.py", 7, "total", None)
FULL = PoolNumbers(used=10, max=10, pending=20, held_total=10)


def judged(verdict: Verdict, now: NowPlace | None, *blockers: Blocker) -> Judgement:
    link = Link(LinkLevel.ADDRESS, "main", a_session(), 100.0)
    checkout = replace(a_checkout(), now=now)
    return Judgement(checkout, 10.0, verdict, None, None, link, True, blockers)


def reasons(*judgements: Judgement) -> list[str]:
    return list(diagnose(FULL, judgements, None).reasons)


def test_a_line_is_the_call_and_the_place() -> None:
    assert str(HTTPX.line) == "waiting in httpx.AsyncClient.get at shop/payments.py:55"
    assert str(LOOP.line) == "running its own code at shop/report.py:7"
    assert str(KeepingLine(None, None, "starlette.responses")) == "waiting in starlette.responses"


def test_an_idle_transaction_says_what_the_application_waits_for() -> None:
    found = diagnose(FULL, [judged(Verdict.IDLE_IN_TRANSACTION, HTTPX)] * 7, None)
    assert found.diagnosis is Diagnosis.HELD_IDLE
    assert found.reasons[0] == (
        "7 of 10 connections are holding a transaction open without using it,"
        " waiting in httpx.AsyncClient.get at shop/payments.py:55"
    )


def test_of_several_lines_the_most_frequent_is_named_with_its_count() -> None:
    idle = Verdict.HELD_IDLE
    found = reasons(*[judged(idle, HTTPX)] * 4, *[judged(idle, LOOP)] * 2, judged(idle, None))
    assert found[0].endswith(", 4 of them waiting in httpx.AsyncClient.get at shop/payments.py:55")


def test_the_top_line_is_named_with_its_share_of_the_pool() -> None:
    found = reasons(
        *[judged(Verdict.SLOW_QUERY, HTTPX)] * 6, *[judged(Verdict.IDLE_IN_TRANSACTION, LOOP)] * 2
    )
    says = "6 of 10 connections are kept by code waiting in httpx.AsyncClient.get"
    assert f"{says} at shop/payments.py:55" in found


def test_nothing_is_named_without_a_look() -> None:
    assert not [each for each in reasons(*[judged(Verdict.HELD_IDLE, None)] * 6) if "kept" in each]


def test_a_chain_of_locks_ends_with_what_its_holder_does() -> None:
    holder = replace(a_checkout(2, route="/checkout"), now=HTTPX)
    session = a_session(state=SessionState.IDLE_IN_TRANSACTION)
    blocker = Blocker(99, holder, session=session)
    found = reasons(*[judged(Verdict.BLOCKED, LOOP, blocker)] * 7)
    assert (
        "7 connections wait for a lock that /checkout holds, idle in transaction,"
        " waiting in httpx.AsyncClient.get at shop/payments.py:55"
    ) in found


def test_a_holder_of_a_lock_without_a_look_is_named_without_a_line() -> None:
    blocker = Blocker(99, a_checkout(2, route=None))
    found = reasons(judged(Verdict.BLOCKED, None, blocker))
    assert "1 connection waits for a lock that the checkout at shop/orders.py:42 holds" in found


def test_a_probable_verdict_counts_as_one() -> None:
    probable = replace(
        judged(Verdict.UNCONFIRMED, HTTPX), confirmed=False, probable=Verdict.HELD_IDLE
    )
    assert Counter("at shop/payments.py:55" in each for each in reasons(*[probable] * 9))[True] == 2
