"""The lock queues of a real server: the walk ends at the session that holds the lock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from poolscope_exporter.core.blocking.lock_forest import LockTree, RootKind, lock_forest
from poolscope_exporter.core.model.lock_waits import PREPARED, LockWaits
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.dsn import parse_dsn
from poolscope_exporter.postgres.server import PostgresServer
from support.postgres.server import make_role, run_sql

UPDATE = "UPDATE stock SET amount = amount - 1"


@pytest.fixture(autouse=True)
def stock(every_postgres: EmbeddedPostgres) -> Iterator[None]:
    """Make a table of one row, which everybody wants to update."""
    run_sql(every_postgres.dsn, "DROP TABLE IF EXISTS stock")
    run_sql(every_postgres.dsn, "CREATE TABLE stock AS SELECT 9 AS amount")
    run_sql(every_postgres.dsn, "GRANT ALL ON stock TO PUBLIC")
    yield
    run_sql(every_postgres.dsn, "DROP TABLE stock")


@contextlib.asynccontextmanager
async def waiting(
    dsn: str, statement: str = UPDATE, *, after: str = "SELECT 1"
) -> AsyncIterator[int]:
    """Run a statement that waits for a lock; yield the PID of its session."""
    connection = await psycopg.AsyncConnection.connect(dsn)
    await connection.execute(after.encode())
    task = asyncio.create_task(connection.execute(statement.encode()))
    try:
        yield connection.info.backend_pid
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, psycopg.Error):
            await task
        await connection.close()


@contextlib.contextmanager
def holding(dsn: str) -> Iterator[int]:
    """Hold the row in an open transaction; yield the PID of the session."""
    with psycopg.connect(dsn, application_name="nightly") as connection:
        connection.execute(UPDATE.encode())
        yield connection.info.backend_pid
        connection.rollback()


async def lock_waits(dsn: str, until: Callable[[LockWaits], bool]) -> LockWaits:
    server = PostgresServer("main", parse_dsn(dsn))
    await server.connect()
    await server.read_limits()
    try:
        async with asyncio.timeout(60):
            while not until(found := await server.lock_waits()):
                pass
        return found
    finally:
        await server.close()


def of(pid: int) -> Callable[[LockWaits], bool]:
    return lambda found: bool(found.waits.get(pid))


def the_tree(found: LockWaits) -> LockTree:
    [tree] = lock_forest(found.waits)
    return tree


async def test_the_root_of_a_row_is_its_holder_and_not_the_next_waiter(
    every_postgres: EmbeddedPostgres,
) -> None:
    dsn = every_postgres.dsn
    with holding(dsn) as holder:
        async with waiting(dsn) as first:
            await lock_waits(dsn, of(first))
            async with waiting(dsn) as second:
                found = await lock_waits(dsn, of(second))

    tree = the_tree(found)
    assert (found.sessions[first].wait_event, found.sessions[second].wait_event) == (
        "transactionid",
        "tuple",
    )
    assert found.waits[second] == (first,)
    assert (tree.root, tree.kind) == (holder, RootKind.HOLDER)
    assert [(each.pid, each.behind) for each in tree.queue] == [(first, holder), (second, first)]
    assert found.waiting == 2


async def test_the_root_has_the_identity_and_the_age_of_its_transaction(
    every_postgres: EmbeddedPostgres,
) -> None:
    dsn = make_role(every_postgres, "batch")
    with holding(dsn) as holder:
        async with waiting(every_postgres.dsn) as waiter:
            found = await lock_waits(every_postgres.dsn, of(waiter))

    root = found.sessions[holder]
    assert (root.user, root.application_name) == ("batch", "nightly")
    assert root.client is not None
    assert root.client.address == "127.0.0.1"
    assert root.state is SessionState.IDLE_IN_TRANSACTION
    assert root.xact_age_s is not None
    assert root.backend_type == "client backend"


async def test_a_role_without_privileges_walks_to_the_root_of_its_own_waits(
    every_postgres: EmbeddedPostgres,
) -> None:
    """The exporter may log in as the application's role, and see no other role's session."""
    app = make_role(every_postgres, "app")
    with holding(make_role(every_postgres, "batch")) as holder:
        async with waiting(every_postgres.dsn) as unseen:
            await lock_waits(every_postgres.dsn, of(unseen))
            async with waiting(app) as waiter:
                found = await lock_waits(app, of(waiter))

    tree = the_tree(found)
    assert tree.root == holder
    assert [each.pid for each in tree.queue] == [unseen, waiter]
    assert (found.sessions[holder].hidden, found.sessions[holder].user) == (True, "batch")
    assert found.waiting == 1


async def test_two_sessions_that_wait_for_each_other_are_a_deadlock(
    every_postgres: EmbeddedPostgres,
) -> None:
    dsn = every_postgres.dsn
    first, second = "SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_xact_lock(2)"
    patience = "SET LOCAL deadlock_timeout = '60s'"
    with psycopg.connect(dsn) as connection:
        connection.execute(f"{patience}; {second}".encode())
        async with waiting(dsn, second, after=f"{patience}; {first}") as one:
            task = asyncio.create_task(asyncio.to_thread(connection.execute, first.encode()))
            two = connection.info.backend_pid
            found = await lock_waits(dsn, lambda waits: of(one)(waits) and of(two)(waits))
        await task

    tree = the_tree(found)
    assert tree.kind is RootKind.DEADLOCK
    assert {tree.root, *(each.pid for each in tree.queue)} == {one, two}


async def test_a_prepared_transaction_is_a_root_without_a_session() -> None:
    with EmbeddedPostgres(settings={"max_prepared_transactions": "2"}) as postgres:
        run_sql(postgres.dsn, "CREATE TABLE stock AS SELECT 9 AS amount")
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(f"BEGIN; {UPDATE}; PREPARE TRANSACTION 'left'".encode())
        async with waiting(postgres.dsn) as waiter:
            found = await lock_waits(postgres.dsn, of(waiter))
        run_sql(postgres.dsn, "ROLLBACK PREPARED 'left'")

    assert (the_tree(found).root, the_tree(found).kind) == (PREPARED, RootKind.PREPARED)


async def test_a_server_without_lock_waits_has_none(every_postgres: EmbeddedPostgres) -> None:
    found = await lock_waits(every_postgres.dsn, lambda _: True)

    assert (dict(found.waits), dict(found.sessions), found.waiting) == ({}, {}, 0)
