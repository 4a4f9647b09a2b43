"""The SQL and the connection, on real servers, as roles with and without privileges."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.servers import Privilege
from poolscope_exporter.core.model.sessions import SessionState
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.dsn import parse_dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.postgres import server as adapter
from poolscope_exporter.postgres.rows import HIDDEN
from poolscope_exporter.postgres.server import Arrival, PostgresServer
from support.postgres.server import make_role, run_sql
from support.processes.black_hole import BlackHole


@contextlib.asynccontextmanager
async def connected(dsn: str, *aliases: Endpoint) -> AsyncIterator[PostgresServer]:
    server = PostgresServer("main", parse_dsn(dsn), aliases)
    try:
        await server.connect()
        await server.read_limits()
        yield server
    finally:
        await server.close()


async def arrival_of(server: PostgresServer) -> Arrival:
    await server.connect()
    try:
        return await server.identify()
    finally:
        await server.close()


@contextlib.contextmanager
def a_client(dsn: str, *statements: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, application_name="shop") as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection


async def test_identity_names_every_address_of_the_server(every_postgres: EmbeddedPostgres) -> None:
    alias = Endpoint("db.internal", 5432)
    server = PostgresServer("main", parse_dsn(every_postgres.dsn), [alias])

    arrival = await arrival_of(server)

    identity = arrival.identity
    assert {alias, Endpoint("127.0.0.1", every_postgres.port)} <= identity.addresses
    assert identity.version_num // 10000 == every_postgres.major
    assert identity.privilege is Privilege.FULL
    assert identity.system_identifier is not None
    assert not arrival.is_behind_pooler


async def test_a_suspect_is_described_by_its_row(every_postgres: EmbeddedPostgres) -> None:
    app = make_role(every_postgres, "app_seen")
    monitor = make_role(every_postgres, "monitor_sees", member_of=("pg_read_all_stats",))
    async with connected(monitor) as server:
        with a_client(app, "SELECT 1") as client:
            pid = client.info.backend_pid
            sample = await server.look_up([pid, 4194304])

    session = sample.sessions[pid]
    assert sample.asked == {pid, 4194304}
    assert set(sample.sessions) == {pid}
    assert session.state is SessionState.IDLE_IN_TRANSACTION
    assert (session.user, session.database) == ("app_seen", "postgres")
    assert session.application_name == "shop"
    assert session.client is not None
    assert session.client.address == "127.0.0.1"
    assert not session.hidden
    for age_s in (session.backend_age_s, session.state_age_s, session.xact_age_s):
        assert age_s is not None
        assert 0 <= age_s < 30


async def test_an_aborted_transaction_has_no_transaction_age(
    every_postgres: EmbeddedPostgres,
) -> None:
    async with connected(every_postgres.dsn) as server:
        with a_client(every_postgres.dsn) as client:
            with pytest.raises(psycopg.errors.DivisionByZero):
                client.execute("SELECT 1/0")
            pid = client.info.backend_pid
            session = (await server.look_up([pid])).sessions[pid]

    assert session.state is SessionState.IDLE_IN_TRANSACTION_ABORTED
    assert session.xact_age_s is None
    assert session.state_age_s is not None


async def test_a_session_of_others_is_hidden_from_a_role_without_privileges(
    every_postgres: EmbeddedPostgres,
) -> None:
    app = make_role(every_postgres, "app_hidden")
    async with connected(make_role(every_postgres, "nobody_special")) as server:
        with a_client(app, "SELECT 1") as client:
            pid = client.info.backend_pid
            session = (await server.look_up([pid])).sessions[pid]
            survey = await server.survey()

    assert session.hidden
    assert session.user == "app_hidden"
    assert session.state is None
    assert session.backend_start_s is None
    assert session.backend_age_s is None
    assert survey.by_state[HIDDEN] >= 1
    assert survey.by_role["app_hidden"] == 1


async def test_a_census_lists_the_sessions_from_an_address_and_no_others(
    every_postgres: EmbeddedPostgres,
) -> None:
    app = make_role(every_postgres, "app_census")
    async with connected(every_postgres.dsn) as server:
        with a_client(app, "SELECT 1") as client:
            found = await server.census({"127.0.0.1", "192.0.2.1"})
            elsewhere = await server.census({"192.0.2.1"})
            pid = client.info.backend_pid

    assert found is not None
    assert elsewhere is not None
    (session,) = [each for each in found.sessions if each.pid == pid]
    assert session.user == "app_census"
    assert session.client is not None
    assert session.client.address == "127.0.0.1"
    assert session.query_age_s is not None
    assert elsewhere.sessions == ()


async def test_a_census_leaves_out_whom_our_role_may_not_see(
    every_postgres: EmbeddedPostgres,
) -> None:
    app = make_role(every_postgres, "app_uncounted")
    async with connected(make_role(every_postgres, "nobody_counts")) as server:
        with a_client(app, "SELECT 1") as client:
            found = await server.census({"127.0.0.1"})
            pid = client.info.backend_pid

    assert found is not None
    assert pid not in {each.pid for each in found.sessions}


async def test_a_census_that_is_refused_is_unknown(every_postgres: EmbeddedPostgres) -> None:
    async with connected(every_postgres.dsn) as server:
        assert await server.census({"no address"}) is None
        assert await server.look_up([1]) is not None


async def test_sessions_at_work_are_counted_and_those_that_wait_or_ask_are_not(
    every_postgres: EmbeddedPostgres,
) -> None:
    spin = "DO $$ BEGIN LOOP NULL; END LOOP; END $$"
    async with connected(every_postgres.dsn) as server:
        assert (await server.survey()).active_on_cpu == 0
        busy = await psycopg.AsyncConnection.connect(every_postgres.dsn)
        waiting = await psycopg.AsyncConnection.connect(every_postgres.dsn)
        tasks = [
            asyncio.create_task(busy.execute(spin)),
            asyncio.create_task(waiting.execute("SELECT pg_sleep(60)")),
        ]
        try:
            async with asyncio.timeout(60):
                # A statement is at work for a moment before it sleeps.
                while (found := await server.survey()).active_on_cpu != 1 or found.by_state[
                    "active"
                ] < 3:
                    pass
        finally:
            await asyncio.gather(busy.cancel_safe(), waiting.cancel_safe())
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(busy.close(), waiting.close())

    assert (found.active_on_cpu, found.by_state["active"]) == (1, 3)


async def test_sessions_at_work_are_unknown_to_a_role_that_does_not_see_them(
    every_postgres: EmbeddedPostgres,
) -> None:
    async with connected(make_role(every_postgres, "sees_nothing")) as server:
        with a_client(every_postgres.dsn, "SELECT 1"):
            assert (await server.survey()).active_on_cpu is None


async def test_privilege_of_a_member_and_of_a_stranger(every_postgres: EmbeddedPostgres) -> None:
    make_role(every_postgres, "app_group")
    member = make_role(every_postgres, "member", member_of=("app_group",))
    stranger = make_role(every_postgres, "stranger")
    found = {}
    for dsn in (member, stranger):
        server = PostgresServer("main", parse_dsn(dsn))
        identity = (await arrival_of(server)).identity
        found[identity.role] = identity.privilege

    assert found == {"member": Privilege.MEMBER, "stranger": Privilege.OWN}


@pytest.mark.parametrize("pids", [[], [4194304]])
async def test_pids_without_a_session_return_nobody(
    postgres: EmbeddedPostgres, pids: list[int]
) -> None:
    async with connected(postgres.dsn) as server:
        assert (await server.look_up(pids)).sessions == {}


async def test_a_lock_waiter_names_its_blocker(every_postgres: EmbeddedPostgres) -> None:
    dsn = every_postgres.dsn
    run_sql(dsn, "DROP TABLE IF EXISTS locked")
    run_sql(dsn, "CREATE TABLE locked (id int)")
    lock = "LOCK TABLE locked IN ACCESS EXCLUSIVE MODE"
    async with connected(dsn) as server:
        with a_client(dsn, lock) as holder:
            waiter = await psycopg.AsyncConnection.connect(dsn)
            waiting = asyncio.create_task(waiter.execute(lock))
            pid = waiter.info.backend_pid
            session = (await server.look_up([pid])).sessions[pid]
            async with asyncio.timeout(60):
                while not session.blocked_by:
                    session = (await server.look_up([pid])).sessions[pid]
            blocker = holder.info.backend_pid
            holder.rollback()
            await waiting
            await waiter.close()

    assert session.blocked_by == (blocker,)
    assert session.wait_event_type == "Lock"


@pytest.mark.parametrize("is_in_transaction", [False, True])
async def test_a_blocker_that_is_idle_is_told_from_one_in_a_transaction(
    every_postgres: EmbeddedPostgres, is_in_transaction: bool
) -> None:
    dsn = every_postgres.dsn
    lock = "SELECT pg_advisory_lock(42)"
    async with connected(dsn) as server:
        holder = await psycopg.AsyncConnection.connect(dsn, autocommit=not is_in_transaction)
        await holder.execute(lock)
        waiter = await psycopg.AsyncConnection.connect(dsn)
        waiting = asyncio.create_task(waiter.execute(lock))
        pid, blocker = waiter.info.backend_pid, holder.info.backend_pid
        async with asyncio.timeout(60):
            while not (session := (await server.look_up([pid])).sessions[pid]).blocked_by:
                pass
        await holder.close()
        await waiting
        await waiter.close()

    assert session.blocked_by == (blocker,)
    assert [each.pid for each in session.idle_blockers] == [blocker] * (not is_in_transaction)


async def test_limits_hold_those_of_the_server_the_role_and_the_database(
    every_postgres: EmbeddedPostgres,
) -> None:
    make_role(every_postgres, "limited")
    run_sql(every_postgres.dsn, "ALTER ROLE limited CONNECTION LIMIT 7")
    async with connected(make_role(every_postgres, "reader")) as server:
        limits = await server.read_limits()
    run_sql(every_postgres.dsn, "ALTER ROLE limited CONNECTION LIMIT -1")

    assert limits is not None
    assert limits.max_connections > limits.usable > 0
    assert limits.role_limits["limited"] == 7
    assert "reader" not in limits.role_limits
    assert limits.database_limits == {}


async def test_survey_counts_sessions_by_state_role_and_database(
    every_postgres: EmbeddedPostgres,
) -> None:
    app = make_role(every_postgres, "app_counted")
    async with connected(every_postgres.dsn) as server:
        with a_client(app, "SELECT 1"), a_client(app, "SELECT 1"):
            survey = await server.survey()

    assert survey.by_role["app_counted"] == 2
    assert survey.by_state["idle in transaction"] >= 2
    assert survey.by_state["active"] >= 1  # our own session takes a slot as well
    assert survey.total == sum(survey.by_state.values()) == sum(survey.by_database.values())


async def test_our_session_is_read_only_and_bounded_by_the_server(
    postgres: EmbeddedPostgres,
) -> None:
    async with connected(postgres.dsn) as server:
        found = await server._connection.fetch_rows(
            b"SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout',"
            b" 'default_transaction_read_only', 'application_name', 'search_path')"
        )
        rows = {row["name"]: row["setting"] for row in found}

    assert rows == {
        "statement_timeout": "2000",
        "default_transaction_read_only": "on",
        "application_name": "poolscope-exporter",
        "search_path": "pg_catalog",
    }


async def test_a_refused_fact_leaves_the_others(postgres: EmbeddedPostgres) -> None:
    run_sql(postgres.dsn, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        server = PostgresServer("main", parse_dsn(make_role(postgres, "curious")))
        arrival = await arrival_of(server)
    finally:
        run_sql(postgres.dsn, "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")

    assert arrival.identity.system_identifier is None
    assert arrival.identity.role == "curious"


async def test_wrong_password_is_an_authentication_failure_without_the_password() -> None:
    with EmbeddedPostgres(auth="scram-sha-256", password="right") as postgres:
        wrong = postgres.dsn_for("postgres", "not-the-secret")
        server = PostgresServer("main", parse_dsn(wrong))
        with pytest.raises(ServerUnavailableError, match="password authentication failed") as info:
            await server.connect()

    assert info.value.reason is Reason.AUTHENTICATION
    assert "not-the-secret" not in str(info.value)


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("postgresql://u@127.0.0.1:1/d", Reason.REFUSED),
        ("postgresql://u@host.invalid/d", Reason.NAME_RESOLUTION),
    ],
)
async def test_a_server_that_cannot_be_reached_has_a_reason(dsn: str, reason: Reason) -> None:
    server = PostgresServer("main", parse_dsn(dsn))
    with pytest.raises(ServerUnavailableError) as info:
        await server.connect()
    assert info.value.reason is reason


async def test_a_stranger_is_turned_away_as_an_authentication_failure(
    postgres: EmbeddedPostgres,
) -> None:
    server = PostgresServer("main", parse_dsn(postgres.dsn_for("no_such_role")))
    with pytest.raises(ServerUnavailableError) as info:
        await server.connect()
    assert info.value.reason is Reason.AUTHENTICATION


async def test_the_kept_connection_answers_while_the_server_is_full(
    every_postgres: EmbeddedPostgres,
) -> None:
    app = make_role(every_postgres, "crowd")
    monitor = make_role(every_postgres, "watcher", member_of=("pg_read_all_stats",))
    crowd: list[psycopg.Connection] = []
    async with connected(monitor) as server:
        limits = await server.read_limits()
        assert limits is not None
        for _ in range(limits.max_connections):
            with contextlib.suppress(psycopg.OperationalError):
                crowd.append(psycopg.connect(app))
        # A session that the server refuses is there for a moment longer than its client.
        while (survey := await server.survey()).by_state["starting"]:
            pass
        late = PostgresServer("late", parse_dsn(monitor))
        with pytest.raises(ServerUnavailableError) as info:
            await late.connect()
        for connection in crowd:
            connection.close()

    assert info.value.reason is Reason.RESERVED_SLOTS
    assert survey.total == limits.usable


async def test_a_terminated_session_is_reported_and_replaced(postgres: EmbeddedPostgres) -> None:
    async with connected(postgres.dsn) as server:
        assert server._connection.connection_info is not None
        pid = server._connection.connection_info.backend_pid
        run_sql(postgres.dsn, "SELECT pg_terminate_backend(%s, 5000)", pid)
        with pytest.raises(ServerUnavailableError) as info:
            await server.look_up([pid])
        assert info.value.reason is Reason.TERMINATED
        assert not server.is_connected

        await server.connect()
        assert (await server.look_up([pid])).sessions == {}


async def test_a_statement_that_times_out_costs_its_answer_alone(
    postgres: EmbeddedPostgres,
) -> None:
    run_sql(postgres.dsn, "DROP SCHEMA IF EXISTS slow CASCADE")
    run_sql(postgres.dsn, "CREATE SCHEMA slow")
    run_sql(
        postgres.dsn,
        "CREATE FUNCTION slow.pg_stat_get_activity(int, OUT datid oid, OUT usesysid oid,"
        " OUT backend_type text, OUT state text) RETURNS SETOF record LANGUAGE sql"
        " AS $$ SELECT 1::oid, 1::oid, ''::text, ''::text FROM pg_sleep(60) $$",
    )
    async with connected(postgres.dsn) as server:
        driver = server._connection._driver
        assert driver is not None
        await driver.execute(b"SET search_path = slow, pg_catalog")
        await driver.execute(b"SET statement_timeout = 1000")
        survey = await server.survey()
        assert server.is_connected
    run_sql(postgres.dsn, "DROP SCHEMA slow CASCADE")

    assert survey.total >= 1
    assert survey.by_state == {}


async def test_a_server_that_is_cut_off_meets_the_deadline(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "QUERY_DEADLINE_S", 0.2)
    async with BlackHole(postgres.port) as hole:
        dsn = postgres.dsn.replace(f":{postgres.port}", f":{hole.port}")
        async with connected(dsn) as server:
            hole.swallow()
            async with asyncio.timeout(60):
                with pytest.raises(ServerUnavailableError, match="no answer within") as info:
                    await server.look_up([1])
            assert info.value.reason is Reason.TIMEOUT
            assert not server.is_connected
