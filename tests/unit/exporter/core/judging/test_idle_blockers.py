"""A lock that an idle connection of the pool holds is named so, and no other lock is."""

from dataclasses import replace

import pytest

from poolscope_exporter.core.blocking.lock_parties import IDLE_S, SessionOwners
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.judging.diagnosis import Diagnosis, diagnose
from poolscope_exporter.core.judging.idle_blockers import name_idle_pools, with_sessions
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement, Verdict
from poolscope_exporter.core.linking.link import Link, LinkLevel
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.sessions import IdleBlocker, SessionState
from support.exporter.builders import (
    PID,
    SERVER,
    a_checkout,
    a_pool,
    a_session,
    an_instance,
    lock_waits,
)

HOLDER = PID + 1
POOL = a_pool()
SIBLING = a_pool(an_instance("shop-2"))
LISTED = {POOL: frozenset({PID, HOLDER})}


def waiting(
    *, idle_s: float | None = 30.0, wait_event: str = "advisory", holder: Checkout | None = None
) -> Judgement:
    """Return a checkout that waits for a lock of a session, idle for so long (None: not idle)."""
    idle = () if idle_s is None else (IdleBlocker(HOLDER, idle_s),)
    session = a_session(
        state=SessionState.ACTIVE,
        wait_event_type="Lock",
        wait_event=wait_event,
        blocked_by=(HOLDER,),
        idle_blockers=idle,
    )
    return Judgement(
        checkout=a_checkout(),
        age_s=10.0,
        verdict=Verdict.BLOCKED,
        reason=None,
        evidence=None,
        link=Link(LinkLevel.ADDRESS, SERVER, session, 100.0),
        confirmed=True,
        blocked_by=(Blocker(HOLDER, holder),),
    )


def named(judgement: Judgement, listed: dict[Pool, frozenset[int]] = LISTED) -> Pool | None:
    [blocker] = name_idle_pools([judgement], listed)[0].blocked_by
    return blocker.idle_in


@pytest.mark.parametrize(
    ("idle_s", "pool"), [(None, None), (IDLE_S - 0.1, None), (IDLE_S, POOL), (30.0, POOL)]
)
def test_a_session_must_be_idle_for_long_enough(idle_s: float | None, pool: Pool | None) -> None:
    assert named(waiting(idle_s=idle_s)) == pool


@pytest.mark.parametrize("wait_event", ["transactionid", "relation"])
def test_only_advisory_locks_are_named(wait_event: str) -> None:
    assert named(waiting(wait_event=wait_event)) is None


def test_a_session_of_somebody_else_is_not_of_the_pool() -> None:
    assert named(waiting(), {POOL: frozenset({PID})}) is None
    stranger = a_pool(an_instance("billing-1", name="billing"))
    assert named(waiting(), {stranger: frozenset({HOLDER})}) is None
    other_server = a_pool(server_address="10.0.0.99")
    assert named(waiting(), {other_server: frozenset({HOLDER})}) is None


def test_another_process_of_the_service_has_the_same_pool() -> None:
    assert named(waiting(), {SIBLING: frozenset({HOLDER})}) == SIBLING
    assert named(waiting(), {SIBLING: frozenset({HOLDER}), **LISTED}) == POOL


def test_a_holder_that_is_a_known_checkout_is_not_idle_in_the_pool() -> None:
    assert named(waiting(holder=a_checkout(2, backend_pid=HOLDER))) is None


def test_a_connection_that_is_held_is_not_idle_in_the_pool_even_without_a_link() -> None:
    held = Judgement(
        a_checkout(2, backend_pid=HOLDER), 10.0, Verdict.UNCONFIRMED, None, None,
        waiting().link, confirmed=False,
    )  # fmt: skip
    [blocker] = name_idle_pools([waiting(), held], LISTED)[0].blocked_by
    assert blocker.idle_in is None


def test_the_diagnosis_names_the_idle_connection() -> None:
    [judgement] = name_idle_pools([waiting()], LISTED)
    told = diagnose(PoolNumbers(used=1, max=4, pending=0), [judgement], None)
    assert told.diagnosis is Diagnosis.BLOCKED
    assert told.reasons[0] == "1 of 4 connections is waiting for a lock"
    assert told.reasons[1].startswith(
        f"an idle connection of this pool (backend pid {HOLDER}) holds a session-level advisory"
    )


STRANGER = a_pool(an_instance("billing-1", name="billing"), name="invoices")
LAST = a_checkout(3, pool=STRANGER, backend_pid=HOLDER)
OWNERS = SessionOwners({}, {(SERVER, HOLDER): STRANGER}, lambda _server, _session: LAST)


def with_holder(judgement: Judgement) -> Judgement:
    waits = lock_waits({PID: (HOLDER,), HOLDER: ()}, a_session(HOLDER))
    [found] = with_sessions([judgement], [waits])
    return found


def test_an_idle_connection_of_another_pool_is_named_with_its_last_line() -> None:
    listed = {STRANGER: frozenset({HOLDER}), POOL: frozenset({PID})}

    [judgement] = name_idle_pools([with_holder(waiting())], listed, OWNERS)

    [blocker] = judgement.blocked_by
    assert (blocker.idle_in, blocker.is_foreign, blocker.last) == (STRANGER, True, LAST)
    told = diagnose(PoolNumbers(used=1, max=4, pending=0), [judgement], None)
    assert told.reasons[1].startswith(
        f"an idle connection of pool invoices of billing (backend pid {HOLDER}, last listed at"
        " shop/orders.py:42) holds a session-level advisory lock"
    )


def test_another_pool_is_not_named_while_it_holds_the_connection() -> None:
    held = Judgement(LAST, 10.0, Verdict.WORKING, None, None, waiting().link, confirmed=False)
    listed = {STRANGER: frozenset({HOLDER})}

    [blocker] = name_idle_pools([with_holder(waiting()), held], listed, OWNERS)[0].blocked_by

    assert (blocker.idle_in, blocker.last) == (None, None)


def test_a_blocker_has_the_data_of_its_own_server_only() -> None:
    waits = lock_waits({HOLDER: ()}, a_session(HOLDER))
    elsewhere = replace(waits, server="other")

    [found, unknown] = [with_sessions([waiting()], [each])[0] for each in (waits, elsewhere)]

    assert found.blocked_by[0].session == a_session(HOLDER)
    assert unknown.blocked_by[0].session is None
