"""Lock queues are trees: the root first, then each session below the one that it waits for."""

import json
from importlib import resources
from typing import Any

from poolscope_exporter.terminal.blocking_tree import blocking_lines
from poolscope_exporter.web.lock_answers import BlockerRow

EXAMPLE = resources.files("poolscope_exporter.web").joinpath("examples", "blockers.json")


def a_blocker(**changes: Any) -> BlockerRow:
    """Return the documented blocker, but for `changes`."""
    row = json.loads(EXAMPLE.read_text())["blockers"][0]
    return BlockerRow.model_validate({**row, **changes})


def test_a_tree_has_the_root_its_code_the_queue_and_the_statement_that_ends_it() -> None:
    client = "transaction 42 s, waits for Client/ClientRead"
    shop = "role shop, database orders, shop"
    waits = "now waiting in httpx.AsyncClient.get at shop/payments.py:55"
    etl = "waits for Lock/transactionid, role etl, database orders, nightly"
    assert list(blocking_lines([a_blocker()])) == [
        "2 sessions wait behind it on main (holder)",
        f"PID 24711: idle in transaction for 42 s, {client}, {shop}",
        "   pool orders of shop, shop-7d9f-4kq2x:1",
        f"   /report, taken at shop/reports.py:88, {waits}",
        f"   └─ PID 24713: active for 11 s, transaction 11 s, {etl}",
        "      no known pool",
        f"      └─ PID 24712: active for 12 s, transaction 12 s, waits for Lock/tuple, {shop}",
        "         pool orders of shop, shop-7d9f-4kq2x:1",
        "         /orders/{order_id}, taken at shop/orders.py:133",
        "to end the root session: SELECT pg_terminate_backend(24711);",
    ]


def test_no_lock_queue_says_so() -> None:
    assert list(blocking_lines([])) == ["No session waits for a lock."]


def test_an_unreleased_lock_names_the_last_user_of_the_connection() -> None:
    row = a_blocker()
    idle = row.model_copy(
        update={"checkout": None, "last_checkout": row.checkout, "is_idle_in_pool": True}
    )
    lines = list(blocking_lines([idle]))
    assert "idle in the pool with a lock that was not released" in lines[2]
    assert lines[3].startswith("   last user: /report, taken at shop/reports.py:88")


def test_a_root_without_a_session_has_no_statement() -> None:
    prepared = a_blocker(
        kind="prepared_transaction", backend_pid=None, session=None, pool=None, terminate=None,
        queue=[], unasked=3,
    )  # fmt: skip
    assert list(blocking_lines([prepared])) == [
        "2 sessions wait behind it, perhaps 3 more on main (prepared_transaction)",
        "prepared transaction: session unknown",
        "   no known pool",
    ]


def test_characters_that_could_steer_the_terminal_become_question_marks() -> None:
    row = a_blocker()
    assert row.session is not None
    session = row.session.model_copy(update={"application_name": "a\x1b[2Jb"})
    lines = "".join(blocking_lines([row.model_copy(update={"session": session})]))
    assert "a?[2Jb" in lines
    assert lines.isprintable()
