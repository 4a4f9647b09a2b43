"""Three sessions that block each other, as a running exporter shows them: tree, page, events."""

import contextlib
import json
import threading
from collections.abc import Iterator

import psycopg
import pytest

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.exporter.otlp_messages import Attributes, a_gauge, a_marker, a_request, gauges, number
from support.postgres.server import make_role, run_sql
from support.processes.child_processes import wait_until

RECYCLE_S = 1800.0
"""A push names a pool by its points, and this is the only one that these have."""

UPDATE = b"UPDATE shelf SET amount = amount - 1"


@pytest.fixture
def shelf(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """Yield a server with a table of one row, which everybody wants to update."""
    run_sql(postgres.dsn, "DROP TABLE IF EXISTS shelf")
    run_sql(postgres.dsn, "CREATE TABLE shelf AS SELECT 9 AS amount")
    run_sql(postgres.dsn, "GRANT ALL ON shelf TO PUBLIC")
    yield postgres
    run_sql(postgres.dsn, "DROP TABLE shelf")


@contextlib.contextmanager
def waiting(dsn: str) -> Iterator[psycopg.Connection]:
    """Wait for the row in a thread, until somebody releases it."""
    with psycopg.connect(dsn) as connection:

        def update() -> None:
            connection.execute(UPDATE)
            connection.rollback()

        thread = threading.Thread(target=update, daemon=True)
        thread.start()
        yield connection
        thread.join(60)


def nothing_held(sequence: int, port: int) -> bytes:
    """Return the push of a pool that no longer holds a connection for long."""
    pool: Attributes = {
        catalogue.POOL_NAME: "orders",
        catalogue.SERVER_ADDRESS: "127.0.0.1",
        catalogue.SERVER_PORT: port,
    }
    names = (catalogue.CHECKOUTS_HELD.name, catalogue.CHECKOUTS_LISTED.name)
    recycle = catalogue.POOL_RECYCLE
    return a_request(
        a_gauge(recycle.name, RECYCLE_S, pool, recycle.unit),
        push=(
            a_marker(sequence, **{catalogue.PUSH_INTERVAL: 1.0}),
            *(gauges(name, number(0, pool)) for name in names),
        ),
    ).SerializeToString()


def test_the_head_of_the_queue_is_shown_and_the_end_of_the_wait_is_an_event(
    shelf: EmbeddedPostgres,
) -> None:
    """`pg_blocking_pids` of the checkout is the next waiter only: it queues for the tuple."""
    batch = make_role(shelf, "batch")
    sequence = 0
    with (
        ExporterProcess("--poll-interval=0.2", "--dsn", shelf.dsn) as exporter,
        contextlib.ExitStack() as waiters,
        psycopg.connect(batch, application_name="nightly") as holder,
    ):
        holder.execute(UPDATE)
        first = waiters.enter_context(waiting(shelf.dsn))
        blocked = "SELECT cardinality(pg_blocking_pids(%s))"
        assert wait_until(lambda: run_sql(shelf.dsn, blocked, first.info.backend_pid) == [(1,)], 20)
        app = waiters.enter_context(waiting(shelf.dsn))

        def is_blocked() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, app, shelf.port, recycle_s=RECYCLE_S))
            [*rows] = exporter.get("/api/v1/blockers?service=shop").json()["blockers"]
            is_reported = '"verdict": "blocked"' in exporter.events
            return is_reported and [each["waiting"] for each in rows] == [2]

        assert wait_until(is_blocked, 30)
        [tree] = exporter.get("/api/v1/blockers").json()["blockers"]
        [checkout] = exporter.checkouts()
        page = exporter.get("/").text
        root, next_one, own = (each.info.backend_pid for each in (holder, first, app))
        holder.rollback()
        waiters.close()

        def has_ended() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(nothing_held(sequence, shelf.port))
            return "checkout_ended" in exporter.events

        assert wait_until(has_ended, 30)
        events = [json.loads(line) for line in exporter.events.splitlines()]
        assert wait_until(lambda: not exporter.get("/api/v1/blockers").json()["blockers"], 20)

    assert (tree["backend_pid"], tree["kind"]) == (root, "holder")
    assert tree["terminate"] == f"SELECT pg_terminate_backend({root})"
    assert (tree["session"]["role"], tree["session"]["application_name"]) == ("batch", "nightly")
    assert tree["session"]["client_address"] == "127.0.0.1"
    assert tree["session"]["state"] == "idle in transaction"
    assert tree["session"]["transaction_age_s"] > 0
    queue = [(each["backend_pid"], each["behind"]) for each in tree["queue"]]
    assert queue == [(next_one, root), (own, next_one)]
    assert tree["queue"][1]["checkout"]["route"] == "/orders"
    assert [each["backend_pid"] for each in checkout["blocked_by"]] == [next_one]
    assert f"<code>SELECT pg_terminate_backend({root})</code>" in page
    [blocked_event] = [each for each in events if each.get("verdict") == "blocked"]
    assert [each["backend_pid"] for each in blocked_event["blocked_by"]] == [next_one]
    assert blocked_event["blocked_by"][0]["session"]["role"] == "postgres"
    [end] = [each for each in events if each["event"] == "checkout_ended"]
    assert (end["previous"], end["ended_by"], end["route"]) == ("blocked", "application", "/orders")
