"""The console of a real PgBouncer: its sockets, its settings, and how it fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
)
from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.pgbouncers import BouncerServer, ClientState, socket_of
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.pgbouncer import console as adapter
from poolscope_exporter.pgbouncer.console import PgBouncerConsole
from poolscope_exporter.polling.dsn import parse_console_dsn
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_generators.incident.pgbouncer import PgBouncer
from support.exporter.held_pushes import own_end
from support.pgbouncer import require_pgbouncer
from support.postgres.server import run_sql
from support.processes.black_hole import BlackHole


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[PgBouncerConsole]:
    console = PgBouncerConsole(parse_console_dsn(dsn))
    try:
        await console.connect()
        yield console
    finally:
        await console.close()


def real_pid(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_client_in_a_transaction_has_the_session_that_serves_it(
    pgbouncer: PgBouncer, postgres: EmbeddedPostgres
) -> None:
    async with connected(pgbouncer.console) as console:
        with psycopg.connect(pgbouncer.dsn) as app:
            pid = real_pid(app)
            sample = await console.read_sockets()
            [(port,)] = run_sql(
                postgres.dsn, "SELECT client_port FROM pg_stat_get_activity(%s::int)", pid
            )
            client = sample.clients[socket_of(own_end(app))]
            assert app.info.backend_pid != pid

    assert client.state is ClientState.ACTIVE
    assert client.server is not None
    expected = BouncerServer(Endpoint("127.0.0.1", postgres.port), port, pid, "postgres")
    assert sample.servers[client.server] == expected
    assert dict(sample.counts) == {
        ClientState.ACTIVE: 1,
        ClientState.IDLE: 0,
        ClientState.WAITING: 0,
    }


async def test_a_client_between_transactions_has_no_server(pgbouncer: PgBouncer) -> None:
    async with connected(pgbouncer.console) as console:
        with psycopg.connect(pgbouncer.dsn) as app:
            app.execute("SELECT 1")
            app.rollback()
            sample = await console.read_sockets()
            client = sample.clients[socket_of(own_end(app))]

    assert (client.state, client.server) == (ClientState.IDLE, None)
    assert len(sample.servers) == 1


async def test_a_request_changes_the_time_of_the_last_one(pgbouncer: PgBouncer) -> None:
    async with connected(pgbouncer.console) as console:
        with psycopg.connect(pgbouncer.dsn, autocommit=True) as app:
            end = socket_of(own_end(app))
            found = set()
            for _ in range(2):
                app.execute("SELECT 1")
                found.add((await console.read_sockets()).clients[end].last_request)
                await asyncio.sleep(1.1)
            assert (await console.read_sockets()).clients[end].last_request in found

    assert len(found) == 2


async def test_a_client_that_finds_no_server_waits(pgbouncer: PgBouncer) -> None:
    async with connected(pgbouncer.console) as console:
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(psycopg.connect(pgbouncer.dsn)).execute("SELECT 1")
            late = await psycopg.AsyncConnection.connect(pgbouncer.dsn)
            waiting = asyncio.create_task(late.execute("SELECT 1"))
            await asyncio.sleep(0.3)
            sample = await console.read_sockets()
        await waiting
        await late.close()

    [client] = [c for c in sample.clients.values() if c.state is ClientState.WAITING]
    assert client.server is None
    assert 0.2 < client.waits_s < 5


async def test_the_pid_of_a_session_over_a_unix_socket_is_its_own(open_folder: Path) -> None:
    require_pgbouncer()
    settings = {"unix_socket_directories": str(open_folder)}
    with (
        EmbeddedPostgres(settings=settings) as postgres,
        PgBouncer(postgres, server_host=str(open_folder)) as bouncer,
        psycopg.connect(bouncer.dsn) as app,
    ):
        pid = real_pid(app)
        async with connected(bouncer.console) as console:
            [server] = (await console.read_sockets()).servers.values()
        postmaster = postgres.pid
        port = postgres.port

    assert server == BouncerServer(Endpoint("unix", port), None, pid, "postgres")
    assert pid != postmaster


async def test_version_time_outs_and_addresses_are_told(postgres: EmbeddedPostgres) -> None:
    require_pgbouncer()
    with PgBouncer(postgres, client_idle_timeout=300) as bouncer:
        async with connected(bouncer.console) as console:
            facts = await console.facts()
            sample = await console.read_sockets()

    assert facts.version.startswith("PgBouncer 1.")
    assert facts.timeouts_s is not None
    assert facts.timeouts_s["client_idle_timeout"] == 300
    assert facts.timeouts_s["server_idle_timeout"] == 600
    assert not facts.shares_its_port
    assert sample.addresses == {Endpoint("127.0.0.1", bouncer.port)}


async def test_a_bouncer_that_shares_its_port_says_so(postgres: EmbeddedPostgres) -> None:
    require_pgbouncer()
    with PgBouncer(postgres, so_reuseport=1) as bouncer:
        async with connected(bouncer.console) as console:
            assert (await console.facts()).shares_its_port


async def reason_for(dsn: str) -> tuple[Reason, str]:
    with pytest.raises(ServerUnavailableError) as info:
        async with connected(dsn):
            pass
    return info.value.reason, str(info.value)


async def test_a_role_that_may_not_ask_lacks_permission(pgbouncer: PgBouncer) -> None:
    reason, _ = await reason_for(pgbouncer.console_for("nobody_special"))
    assert reason is Reason.PERMISSION


async def test_a_user_of_the_statistics_is_told_as_much_as_an_administrator(
    pgbouncer: PgBouncer,
) -> None:
    told = []
    for dsn in (pgbouncer.console, pgbouncer.console_for("postgres")):
        async with connected(dsn) as console:
            told.append((await console.facts(), (await console.read_sockets()).total_clients))

    assert told[0] == told[1]
    facts, clients = told[0]
    assert clients == 1  # our own: the bouncer counts it too
    assert facts.limits is not None
    assert facts.limits.max_clients == 100
    assert facts.limits.databases["postgres"].pool_size == 2


async def test_a_stranger_fails_to_authenticate(pgbouncer: PgBouncer) -> None:
    reason, _ = await reason_for(pgbouncer.console_for("stranger"))
    assert reason is Reason.AUTHENTICATION


async def test_a_bouncer_that_does_not_run_refuses_without_the_password() -> None:
    reason, text = await reason_for("postgresql://u:s3cr3t@127.0.0.1:1/pgbouncer")
    assert reason is Reason.REFUSED
    assert "s3cr3t" not in text


async def test_a_bouncer_that_ends_is_reported(pgbouncer: PgBouncer) -> None:
    async with connected(pgbouncer.console) as console:
        pgbouncer.stop()
        with pytest.raises(ServerUnavailableError) as info:
            await console.read_sockets()

    assert info.value.reason is Reason.TERMINATED
    assert not console.is_connected


async def test_the_console_is_closed_when_a_poll_ends(pgbouncer: PgBouncer) -> None:
    async with connected(pgbouncer.console) as console:
        await console.end_poll()

        assert not console.is_connected


async def test_a_bouncer_that_is_cut_off_meets_the_deadline(
    pgbouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "COMMAND_DEADLINE_S", 0.2)
    async with BlackHole(pgbouncer.port) as hole:
        dsn = pgbouncer.console.replace(f":{pgbouncer.port}", f":{hole.port}")
        async with connected(dsn) as console:
            hole.swallow()
            async with asyncio.timeout(2):
                with pytest.raises(ServerUnavailableError, match="no answer within") as info:
                    await console.read_sockets()

    assert info.value.reason is Reason.TIMEOUT
    assert not console.is_connected


async def test_the_use_by_database_and_user_shows_who_waits_and_how_long_all_have_waited(
    pgbouncer: PgBouncer,
) -> None:
    """A PgBouncer 1.18 shows no server assignments: these are unknown, and the rest is known."""
    async with connected(pgbouncer.console) as console:
        before = await console.read_traffic()
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(psycopg.connect(pgbouncer.dsn)).execute("SELECT 1")
            late = await psycopg.AsyncConnection.connect(pgbouncer.dsn)
            waiting = asyncio.create_task(late.execute("SELECT 1"))
            async with asyncio.timeout(60):
                while not (found := the_pool(await console.read_traffic())).longest_s:
                    pass
        await waiting
        await late.close()
        async with asyncio.timeout(60):
            while not (totals := the_totals(await console.read_traffic())).waited_s:
                pass

    assert before.pools is not None
    assert (found.database, found.user) == ("postgres", "postgres")
    assert (found.waiting, found.lent, found.idle) == (1, 2, 0)
    assert 0 < found.longest_s < 60
    assert totals.queries is not None
    assert totals.transactions is not None
    assert 0 < totals.waited_s < 60


def the_pool(traffic: BouncerTraffic) -> LentConnections:
    [found] = traffic.pools or ()
    return found


def the_totals(traffic: BouncerTraffic) -> DatabaseTotals:
    [found] = traffic.totals or ()
    return found
