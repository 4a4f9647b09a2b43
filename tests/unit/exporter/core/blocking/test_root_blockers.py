"""Root blockers: who they are, how many wait behind them, and the statement that ends them."""

from collections.abc import Mapping

import pytest

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import (
    IDLE_S,
    SessionOwners,
    pools_of_sessions,
)
from poolscope_exporter.core.blocking.root_blockers import (
    RootBlocker,
    root_blockers,
    transaction_age_s,
)
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.lock_waits import PREPARED, LockWaits
from poolscope_exporter.core.model.sessions import Session, SessionState
from support.exporter.builders import (
    SERVER,
    a_checkout,
    a_pool,
    a_session,
    an_instance,
    lock_waits,
)

SHORTEST_S = 0.5
ROOT, FIRST, SECOND = 10, 20, 30
BILLING = a_pool(an_instance("billing-1", name="billing"), name="invoices")


def owners(
    holders: Mapping[int, Checkout] | None = None,
    pools: Mapping[int, Pool] | None = None,
    last: Checkout | None = None,
) -> SessionOwners:
    return SessionOwners(
        {(SERVER, pid): checkout for pid, checkout in (holders or {}).items()},
        {(SERVER, pid): pool for pid, pool in (pools or {}).items()},
        lambda _server, _session: last,
    )


def the_root(waits: LockWaits, known: SessionOwners | None = None) -> RootBlocker:
    [blocker] = root_blockers([waits], known or owners(), SHORTEST_S)
    return blocker


def test_a_root_has_its_queue_and_the_statement_that_ends_it() -> None:
    waits = lock_waits({ROOT: (), FIRST: (ROOT,), SECOND: (FIRST, ROOT)}, waiting=9)

    found = the_root(waits)

    assert (found.server, found.kind, found.party.pid) == (SERVER, RootKind.HOLDER, ROOT)
    assert [(each.party.pid, each.behind, each.depth) for each in found.queue] == [
        (FIRST, ROOT, 1),
        (SECOND, ROOT, 1),
    ]
    assert found.queue[1].others == (FIRST,)
    assert (found.waiting, found.unasked) == (2, 7)
    assert found.terminate == "SELECT pg_terminate_backend(10)"


@pytest.mark.parametrize(
    "waits",
    [{FIRST: (PREPARED,)}, {FIRST: (SECOND,), SECOND: (FIRST,)}],
    ids=["prepared", "deadlock"],
)
def test_there_is_no_session_to_end_in_a_deadlock_or_a_prepared_transaction(
    waits: Mapping[int, tuple[int, ...]],
) -> None:
    assert the_root(lock_waits(waits)).terminate is None


@pytest.mark.parametrize(
    ("age_s", "is_shown"), [(None, True), (0.49, False), (0.5, True), (9.0, True)]
)
def test_a_short_wait_is_left_out(age_s: float | None, *, is_shown: bool) -> None:
    waits = lock_waits({ROOT: (), FIRST: (ROOT,)}, a_session(FIRST, query_age_s=age_s))

    assert bool(root_blockers([waits], owners(), SHORTEST_S)) is is_shown


def test_a_root_that_ended_between_two_queries_is_left_out() -> None:
    waits = lock_waits({ROOT: (), FIRST: (ROOT,)})
    gone = LockWaits(SERVER, 100.0, waits.waits, {FIRST: waits.sessions[FIRST]}, 1)

    assert root_blockers([gone], owners(), SHORTEST_S) == ()


def test_a_root_that_a_checkout_holds_has_its_place() -> None:
    holder = a_checkout(7, backend_pid=ROOT)

    found = the_root(lock_waits({ROOT: (), FIRST: (ROOT,)}), owners({ROOT: holder}))

    assert (found.party.checkout, found.party.pool, found.party.idle_in) == (
        holder,
        holder.pool,
        None,
    )


@pytest.mark.parametrize(
    ("state", "age_s", "is_idle"),
    [
        (SessionState.IDLE, IDLE_S - 0.1, False),
        (SessionState.IDLE, IDLE_S, True),
        (SessionState.IDLE, None, False),
        (SessionState.IDLE_IN_TRANSACTION, 30.0, False),
    ],
)
def test_an_idle_connection_of_another_pool_is_named_with_its_last_line(
    state: SessionState, age_s: float | None, *, is_idle: bool
) -> None:
    last = a_checkout(3, pool=BILLING, backend_pid=ROOT)
    waits = lock_waits({ROOT: (), FIRST: (ROOT,)}, a_session(ROOT, state=state, state_age_s=age_s))

    party = the_root(waits, owners(pools={ROOT: BILLING}, last=last)).party

    assert party.pool == BILLING
    assert (party.idle_in, party.last) == ((BILLING, last) if is_idle else (None, None))


def test_the_last_line_of_another_pool_is_not_that_of_the_connection() -> None:
    waits = lock_waits({ROOT: (), FIRST: (ROOT,)}, a_session(ROOT, state=SessionState.IDLE))

    party = the_root(waits, owners(pools={ROOT: BILLING}, last=a_checkout())).party

    assert (party.idle_in, party.last) == (BILLING, None)


def test_a_pool_is_named_where_it_leads_to_the_server_and_alone_lists_the_pid() -> None:
    shop, copy, pooled = a_pool(), a_pool(an_instance("shop-2")), a_pool(name="behind")
    listed = {
        shop: frozenset({ROOT, FIRST}),
        copy: frozenset({FIRST, SECOND}),
        BILLING: frozenset({40}),
        pooled: frozenset({50}),
    }
    servers = {shop: SERVER, copy: SERVER, BILLING: "other", pooled: None}

    found = pools_of_sessions({SERVER: {ROOT, FIRST, 40, 50}}, listed, servers.get)

    assert found == {(SERVER, ROOT): shop}


def an_aborted(xact_age_s: float | None, state_age_s: float | None) -> Session:
    state = SessionState.IDLE_IN_TRANSACTION_ABORTED
    return a_session(state=state, xact_age_s=xact_age_s, state_age_s=state_age_s)


@pytest.mark.parametrize(
    ("session", "age_s"),
    [
        (a_session(state=SessionState.IDLE, state_age_s=5.0), None),
        (a_session(state=SessionState.IDLE_IN_TRANSACTION, xact_age_s=7.0, state_age_s=5.0), 7.0),
        (an_aborted(None, 5.0), 5.0),
        (an_aborted(None, None), None),
        (an_aborted(7.0, 5.0), 7.0),
    ],
)
def test_an_aborted_transaction_is_as_old_as_its_state(
    session: Session, age_s: float | None
) -> None:
    assert transaction_age_s(session) == age_s
