"""The role that deploy/postgres/role.sql makes: enough for the exporter, and nothing besides."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import run_to_the_end
from support.postgres.role_script import run_role_script, what_was_made
from support.postgres.server import make_role, run_sql
from support.postgres.watching import Shown, Watch, a_target

SLOTS = {
    "max_connections": "14",
    "superuser_reserved_connections": "3",
    "reserved_connections": "2",
}
OURS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'poolscope'"
TERMINATE = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'poolscope'"
)


@pytest.fixture(scope="module", params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """Yield a small server, with reserved slots, that no other test has made roles on."""
    with EmbeddedPostgres(major=request.param, settings=SLOTS) as server:
        make_role(server, "crowd")
        yield server


@pytest.fixture
def dsn(server: EmbeddedPostgres) -> str:
    """Return how the exporter logs in with the role that the script made."""
    ran = run_role_script(server)
    assert ran.returncode == 0, ran.stderr
    return server.dsn_for("poolscope")


def is_linked(shown: Shown) -> bool:
    return shown.view.up and shown.link == "address" and shown.verdict != "unconfirmed"


def is_full(shown: Shown) -> bool:
    return shown.view.headroom is not None and shown.view.headroom.free <= 0


def fill(server: EmbeddedPostgres) -> list[psycopg.Connection[Any]]:
    """Take every slot that the server has for an ordinary role."""
    taken = []
    while True:
        try:
            taken.append(psycopg.connect(server.dsn_for("crowd")))
        except psycopg.OperationalError:
            return taken


def refusal(dsn: str, statement: str) -> str | None:
    """Return the SQLSTATE with which the server refuses, None where it does as it is told."""
    with psycopg.connect(dsn, options="-c default_transaction_read_only=off") as connection:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            return error.sqlstate
    return None


def test_a_second_run_changes_nothing(server: EmbeddedPostgres, dsn: str) -> None:
    before = what_was_made(server)
    again = run_role_script(server)

    assert (again.returncode, again.stderr) == (0, "")
    assert what_was_made(server) == before


def test_check_misses_nothing(dsn: str) -> None:
    ended = run_to_the_end("check", "--dsn", dsn)

    assert ended.returncode == 0, ended.stdout
    assert "role        poolscope, privilege full" in ended.stdout
    assert "3 sessions for role poolscope" in ended.stdout


async def test_a_checkout_is_linked_with_exactly_that_role(
    server: EmbeddedPostgres, dsn: str
) -> None:
    with psycopg.connect(server.dsn_for("crowd")) as held:
        held.execute("SELECT 1")
        async with Watch(a_target(dsn), held, server.port) as watch:
            shown = await watch.until(lambda each: each.verdict == "idle_in_transaction")

    assert shown.link == "address"
    assert watch.missed() == {}


async def test_it_polls_a_full_server_and_gets_in_again(server: EmbeddedPostgres, dsn: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as overseer:
        crowd = fill(server)
        try:
            async with Watch(a_target(dsn), crowd[0], server.port) as watch:
                await watch.until(is_linked)
                await watch.until(is_full)
                overseer.execute(TERMINATE)
                await watch.until(lambda shown: not shown.view.up)
                again = await watch.until(is_linked)
        finally:
            for each in crowd:
                each.close()

    assert again.diagnosis == "server_full"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT total FROM invoices",
        "CREATE TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE pg_read_all_stats",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_the_role_may_do_nothing_besides(
    server: EmbeddedPostgres, dsn: str, statement: str
) -> None:
    run_sql(server.dsn, "CREATE TABLE IF NOT EXISTS invoices (total int)")
    with psycopg.connect(server.dsn):  # a session that it could end
        assert refusal(dsn, statement) == "42501"


def test_it_has_no_more_than_three_sessions(dsn: str) -> None:
    sessions = [psycopg.connect(dsn) for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError, match='too many connections for role "poolsc'):
            psycopg.connect(dsn)
    finally:
        for each in sessions:
            each.close()


def test_its_name_and_limit_are_yours(server: EmbeddedPostgres) -> None:
    ran = run_role_script(server, role="Odd Role", connection_limit="7")

    assert ran.returncode == 0, ran.stderr
    ended = run_to_the_end("check", "--dsn", server.dsn_for("Odd Role"))
    assert ended.returncode == 0, ended.stdout
    assert "7 sessions for role Odd Role" in ended.stdout


def test_a_role_that_may_do_more_is_left_alone(server: EmbeddedPostgres) -> None:
    run_sql(server.dsn, "DROP ROLE IF EXISTS chief")
    run_sql(server.dsn, "CREATE ROLE chief CREATEROLE")
    ran = run_role_script(server, role="chief")

    assert ran.returncode != 0
    assert "choose another name" in ran.stderr
    query = "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'chief'"
    assert run_sql(server.dsn, query) == [(False, -1)]


def test_a_database_that_is_closed_to_all_is_opened_to_it(server: EmbeddedPostgres) -> None:
    run_sql(server.dsn, "DROP DATABASE IF EXISTS closed")
    run_sql(server.dsn, "CREATE DATABASE closed")
    run_sql(server.dsn, "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    closed = server.dsn_for("postgres", database="closed")
    ran = run_role_script(server, closed)

    assert ran.returncode == 0, ran.stderr
    ended = run_to_the_end("check", "--dsn", server.dsn_for("poolscope", database="closed"))
    assert ended.returncode == 0, ended.stdout


def an_administrator(server: EmbeddedPostgres, *grantable: str) -> str:
    """Make one as managed services have it: no superuser, and free to grant some roles only."""
    run_sql(server.dsn, "DROP ROLE IF EXISTS watcher")
    run_sql(server.dsn, "DROP ROLE IF EXISTS administrator")
    run_sql(server.dsn, "CREATE ROLE administrator LOGIN CREATEROLE CREATEDB")
    for role in grantable:
        run_sql(server.dsn, f"GRANT {role} TO administrator WITH ADMIN OPTION")
    return server.dsn_for("administrator")


def test_an_administrator_of_a_service_grants_what_it_may(server: EmbeddedPostgres) -> None:
    administrator = an_administrator(server, "pg_monitor", "pg_use_reserved_connections")
    for _ in range(2):
        ran = run_role_script(server, administrator, role="watcher")
        assert ran.returncode == 0, ran.stderr

    ended = run_to_the_end("check", "--dsn", server.dsn_for("watcher"))
    assert ended.returncode == 0, ended.stdout
    assert "role        watcher, privilege full" in ended.stdout


def test_an_administrator_who_may_grant_nothing_is_told(server: EmbeddedPostgres) -> None:
    ran = run_role_script(server, an_administrator(server), role="watcher")

    assert ran.returncode != 0
    assert "not granted: we may not" in ran.stdout
    assert "GRANT pg_read_all_stats, or pg_monitor" in ran.stderr
