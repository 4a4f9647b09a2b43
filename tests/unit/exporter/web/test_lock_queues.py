"""Lock queues on the API and the page: who blocks, who waits behind, and how to end it."""

from dataclasses import replace
from typing import Any

import pytest

from poolscope_exporter.core.blocking.lock_forest import RootKind
from poolscope_exporter.core.blocking.lock_parties import LockParty
from poolscope_exporter.core.blocking.root_blockers import LockWaiter, RootBlocker
from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.model.lock_waits import PREPARED
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.web.console.start_view import MAX_QUEUE
from poolscope_exporter.web.lock_rows import root_blocker_row
from support.exporter.builders import a_checkout, a_pool, a_session, an_instance
from support.exporter.pages import start_page
from support.exporter.processes import an_instance_state

BILLING = a_pool(an_instance("billing-1", name="billing"), name="invoices")
STATES = (
    an_instance_state({"host.name": "node-1", "process.pid": "17"}),
    an_instance_state({"host.name": "node-2", "process.pid": "18"}, BILLING.instance),
)
NAMES = process_names(STATES)
ETL = replace(
    a_session(10, user="etl", state=SessionState.IDLE_IN_TRANSACTION, xact_age_s=41.2345),
    application_name="<nightly>",
    backend_type="client backend",
)
ACTIVE = replace(
    a_session(
        20, state=SessionState.ACTIVE, wait_event_type="Lock", wait_event="tuple", xact_age_s=4.0
    )
)
WAITER = LockWaiter(LockParty(20, ACTIVE, a_pool(), a_checkout(2)), 10, 1)
SECOND = LockWaiter(LockParty(30), 20, 2, others=(10,))
TREE = RootBlocker("main", RootKind.HOLDER, LockParty(10, ETL), (WAITER, SECOND), unasked=3)


def row_of(blocker: RootBlocker) -> Any:
    return root_blocker_row(blocker, NAMES)


def page_of(*blockers: RootBlocker) -> str:
    return start_page(Situation((), (), (), STATES, 0.0, blockers=blockers))


def test_a_root_has_its_identity_its_queue_and_the_statement_that_ends_it() -> None:
    row = row_of(TREE)

    assert (row["server"], row["kind"], row["backend_pid"]) == ("main", "holder", 10)
    assert row["session"] == {
        "role": "etl",
        "database": "orders",
        "application_name": "<nightly>",
        "client_address": "10.0.0.7",
        "backend_type": "client backend",
        "state": "idle in transaction",
        "wait_event": None,
        "state_age_s": 30.0,
        "transaction_age_s": 41.234,
        "query_age_s": 30.0,
    }
    assert (row["waiting"], row["unasked"]) == (2, 3)
    assert row["terminate"] == "SELECT pg_terminate_backend(10)"
    assert (row["pool"], row["checkout"], row["last_checkout"]) == (None, None, None)


def test_a_waiter_has_its_place_in_the_tree_and_in_the_code() -> None:
    first, second = row_of(TREE)["queue"]

    assert (first["depth"], first["behind"], first["also_behind"]) == (1, 10, [])
    assert (first["checkout"]["code_line"], first["pool"]["pool"]) == (42, "orders")
    assert (first["checkout"]["process"], first["pool"]["process"]) == ("node-1:17", "node-1:17")
    assert first["session"]["wait_event"] == "Lock/tuple"
    assert (second["depth"], second["behind"], second["also_behind"]) == (2, 20, [10])
    assert second["session"] is None


def test_an_idle_connection_of_a_pool_has_its_last_line() -> None:
    idle = LockParty(10, a_session(10), BILLING, None, a_checkout(1, pool=BILLING))

    row = row_of(replace(TREE, party=idle))

    assert (row["is_idle_in_pool"], row["pool"]["service"]) == (True, "billing")
    assert (row["last_checkout"]["code_file"], row["checkout"]) == ("shop/orders.py", None)
    assert (row["pool"]["process"], row["last_checkout"]["process"]) == ("node-2:18", "node-2:18")
    shown = page_of(replace(TREE, party=idle))
    assert ">node-2:18</a>" in shown
    assert "idle connection of pool invoices of billing" in shown
    assert "last listed: /orders at <code>shop/orders.py:42</code>" in shown


def test_a_prepared_transaction_has_no_pid() -> None:
    prepared = RootBlocker("main", RootKind.PREPARED, LockParty(PREPARED), (WAITER,))

    assert row_of(prepared)["backend_pid"] is None
    assert "see pg_prepared_xacts" in page_of(prepared)


def test_the_page_shows_the_tree_and_escapes_what_a_client_chose() -> None:
    shown = page_of(TREE)

    for text in (
        "<code>SELECT pg_terminate_backend(10)</code>",
        "etl in orders",
        "&lt;nightly&gt; from 10.0.0.7",
        "transaction for 41 s",
        "2 sessions behind it, and perhaps 3 more",
        '<li class="depth-1">backend 20, behind 10:',
        '<li class="depth-2">backend 30, behind 20 and 10:',
        "<small>Lock/tuple</small>",
        ">node-1:17</a>",
    ):
        assert text in shown
    assert "<nightly>" not in shown


@pytest.mark.parametrize("kind", [RootKind.HOLDER, RootKind.UNKNOWN, RootKind.DEADLOCK])
def test_only_a_deadlock_ends_by_itself(kind: RootKind) -> None:
    shown = page_of(replace(TREE, kind=kind))

    assert ("pg_terminate_backend" in shown) is (kind is not RootKind.DEADLOCK)
    assert ("after deadlock_timeout" in shown) is (kind is RootKind.DEADLOCK)


def test_a_page_without_lock_waits_states_that() -> None:
    assert "No session waits long for a lock." in page_of()
    assert "No session waits long for a lock." not in page_of(TREE)


def test_a_long_queue_has_its_first_sessions_and_the_number_of_the_others() -> None:
    waiters = tuple(LockWaiter(LockParty(pid), 10, 1) for pid in range(20, 20 + MAX_QUEUE + 3))

    shown = page_of(replace(TREE, queue=waiters))

    assert shown.count('<li class="depth-1">') == MAX_QUEUE
    assert "<li>3 more: " in shown
