"""Faults of servers and of the way to them: how long the exporter is blind, and what it shows."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from conformance.proxy import Proxy, a_proxy
from poolscope_exporter import clock
from poolscope_exporter.core.model.servers import ServerRole
from poolscope_exporter.demo.postgres_data import EmbeddedPostgresError
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.postgres import poller as poller_module
from poolscope_generators.faults import Fault
from poolscope_generators.ports import held_port
from support.documents.fault_records import Faults
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.postgres.server import make_role, run_sql
from support.postgres.watching import Shown, Watch, a_target, assert_honest
from support.processes.black_hole import BlackHole
from support.processes.child_processes import wait_until

QUERY_DEADLINE_S = 3.0
DETECTED_S = QUERY_DEADLINE_S + 4.0
"""A poll interval, a query's deadline, and the pace of a busy machine."""

SEES_ALL = ("pg_read_all_stats",)


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """Yield a server for one test alone, which may break it."""
    with EmbeddedPostgres(port=held_port()) as server:
        yield server


@contextlib.asynccontextmanager
async def a_linked_watch(
    dsn: str, held: psycopg.Connection, port: int | None = None
) -> AsyncIterator[Watch]:
    """Yield a watch of a held connection that is linked and confirmed."""
    async with Watch(a_target(dsn), held, port) as watch:
        await watch.until(is_linked)
        yield watch


def is_linked(shown: Shown) -> bool:
    return shown.view.up and shown.link in {"address", "age"} and shown.verdict != "unconfirmed"


def is_up(shown: Shown) -> bool:
    return shown.view.up


def is_down(shown: Shown) -> bool:
    return not shown.view.up


def is_judged(verdict: str, reason: str) -> Callable[[Shown], bool]:
    return lambda shown: (shown.verdict, shown.reason) == (verdict, reason)


def assert_silent(watch: Watch) -> None:
    """While the server was known to be silent, nothing was said of its sessions."""
    assert {each.judged for each in watch.while_down()} == {"unknown (server_down)"}


def start_again(server: EmbeddedPostgres) -> None:
    """Start a server whose processes may still be dying."""

    def is_started() -> bool:
        with contextlib.suppress(EmbeddedPostgresError):
            server.start()
            return True
        return False

    assert wait_until(is_started)


def via(server: EmbeddedPostgres, port: int) -> str:
    return server.dsn.replace(f":{server.port}", f":{port}")


async def test_a_server_that_is_killed_and_restarted(
    own_postgres: EmbeddedPostgres, faults: Faults
) -> None:
    with psycopg.connect(own_postgres.dsn) as held:
        async with a_linked_watch(own_postgres.dsn, held) as watch:
            os.kill(own_postgres.pid, signal.SIGKILL)
            own_postgres.stop()
            await watch.until(is_down)
            start_again(own_postgres)
            found = await watch.until(is_judged("lost", "server_changed"))
            report = watch.report()

    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    assert found.link == "unlinked:server_changed"
    assert report.changes == {"replaced": 1, "promoted": 0}
    assert report.connections == 1
    faults.record("server killed and restarted", watch)


async def test_a_fail_over_to_another_server_behind_the_same_address(faults: Faults) -> None:
    with (
        EmbeddedPostgres(port=held_port()) as old,
        EmbeddedPostgres(port=held_port()) as new,
        a_proxy(old.port) as proxy,
        psycopg.connect(via(old, proxy.port)) as held,
    ):
        async with a_linked_watch(via(old, proxy.port), held, proxy.port) as watch:
            switch(proxy, new)
            await watch.until(is_judged("lost", "server_changed"))
            with psycopg.connect(via(new, proxy.port)):
                await watch.polls(2)
            report = watch.report()

    assert_honest(watch, DETECTED_S)
    assert {each.judged for each in watch.while_down()} <= {"unknown (server_down)"}
    assert report.changes["replaced"] == 1
    faults.record("fail-over to another server behind the same address", watch)


def switch(proxy: Proxy, server: EmbeddedPostgres) -> None:
    proxy.target_port = server.port
    proxy.cut()


async def test_a_network_that_swallows_everything(
    postgres: EmbeddedPostgres, faults: Faults
) -> None:
    with psycopg.connect(postgres.dsn) as held:
        async with BlackHole(postgres.port) as hole:
            dsn = via(postgres, hole.port)
            async with a_linked_watch(dsn, held, postgres.port) as watch:
                hole.swallow()
                down = await watch.until(is_down)
                hole.forward()
                await watch.until(is_linked)
                last_good_s = down.view.last_success_age_s

    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    assert last_good_s is not None
    assert last_good_s < DETECTED_S + watch.stall_s()
    assert watch.missed() == {"timeout": 1}
    faults.record("network black hole, until the first poll missed", watch)


async def test_a_server_that_stands_still(own_postgres: EmbeddedPostgres, faults: Faults) -> None:
    with psycopg.connect(own_postgres.dsn) as held:
        async with a_linked_watch(own_postgres.dsn, held) as watch:
            stop_processes_of(own_postgres, signal.SIGSTOP)
            try:
                await watch.until(is_down)
            finally:
                stop_processes_of(own_postgres, signal.SIGCONT)
            await watch.until(is_linked)
            ours = own_sessions(own_postgres)

    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    assert watch.report().changes["replaced"] == 0
    assert ours == 1
    faults.record("server's processes stopped (SIGSTOP), until the first poll missed", watch)


def stop_processes_of(server: EmbeddedPostgres, number: signal.Signals) -> None:
    """Signal the postmaster and all its children, which have sessions of their own."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in (server.pid, *map(int, children)):
        os.kill(pid, number)


def own_sessions(server: EmbeddedPostgres) -> int:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poolscope-exporter'"
    return int(run_sql(server.dsn, counted)[0][0])


async def test_our_session_is_terminated(postgres: EmbeddedPostgres, faults: Faults) -> None:
    with psycopg.connect(postgres.dsn) as held:
        async with a_linked_watch(postgres.dsn, held) as watch:
            terminate_ours(postgres)
            await watch.until(is_down)
            await watch.until(is_linked)

    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    assert watch.missed() == {"terminated": 1}
    faults.record("the exporter's own session terminated", watch)


def terminate_ours(server: EmbeddedPostgres) -> None:
    run_sql(
        server.dsn,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'poolscope-exporter'",
    )


@pytest.mark.parametrize("catalogue", ["pg_authid", "pg_database"])
async def test_a_locked_catalogue_costs_the_facts_alone(
    every_postgres: EmbeddedPostgres,
    catalogue: str,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
) -> None:
    monkeypatch.setattr(poller_module, "FACTS_S", 0.0)
    monkeypatch.setattr(poller_module, "FACTS_RETRY_S", 0.0)
    monkeypatch.setattr(poller_module, "SURVEY_S", 0.0)
    held = psycopg.connect(every_postgres.dsn)
    locker = psycopg.connect(every_postgres.dsn)
    with held, locker:
        async with a_linked_watch(every_postgres.dsn, held) as watch:
            known = watch.shown[-1].view.limits
            locker.execute(f"LOCK {catalogue} IN ACCESS EXCLUSIVE MODE".encode())
            before = watch.report().tiers
            await watch.polls(4)
            locked = watch.report().tiers
            during = watch.shown[-1]
            locker.rollback()
            await watch.polls(2)

    assert before is not None
    assert locked is not None
    new = {tier: count - before.missed[tier] for tier, count in locked.missed.items()}
    assert new.pop("facts") >= 2
    assert not any(new.values()), new
    assert during.view.up
    assert is_linked(during)
    assert during.view.limits == known
    assert during.view.connections is not None
    assert watch.missed() == {}
    assert_honest(watch, DETECTED_S)
    note = "limits as read before the lock"
    faults.record(f"{catalogue} locked, PostgreSQL {every_postgres.major}", watch, note)


async def test_a_role_that_may_not_connect_any_more_keeps_its_connection(
    postgres: EmbeddedPostgres, faults: Faults
) -> None:
    monitor = make_role(postgres, "limited_monitor", member_of=SEES_ALL)
    with psycopg.connect(postgres.dsn) as held:
        async with a_linked_watch(monitor, held) as watch:
            run_sql(postgres.dsn, "ALTER ROLE limited_monitor CONNECTION LIMIT 0")
            await watch.polls(3)
            assert watch.missed() == {}
            terminate_ours(postgres)
            refused = await watch.until(lambda shown: "role_limit" in (shown.view.reason or ""))
            run_sql(postgres.dsn, "ALTER ROLE limited_monitor CONNECTION LIMIT -1")
            await watch.until(is_linked)

    assert 'too many connections for role "limited_monitor"' in (refused.view.reason or "")
    assert refused.diagnosis != "server_full"
    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    faults.record("ALTER ROLE … CONNECTION LIMIT 0, then its session terminated", watch)


async def test_a_password_that_is_rotated_is_read_anew(tmp_path: Path, faults: Faults) -> None:
    path = tmp_path / "password"
    path.write_text("old-secret\n")
    with EmbeddedPostgres(port=held_port(), auth="scram-sha-256", password="right") as postgres:
        make_role(postgres, "rotated", password="old-secret", member_of=SEES_ALL)
        target = a_target(postgres.dsn_for("rotated"), password_file=path)
        with psycopg.connect(postgres.dsn) as held:
            async with Watch(target, held, postgres.port) as watch:
                await watch.until(is_linked)
                run_sql(postgres.dsn, "ALTER ROLE rotated PASSWORD 'new-secret'")
                await watch.polls(2)
                assert watch.missed() == {}
                terminate_ours(postgres)
                refused = await watch.until(
                    lambda shown: "authentication" in (shown.view.reason or "")
                )
                path.write_text("new-secret\n")
                await watch.until(is_linked)

    assert "secret" not in repr([watch.shown, watch.poller, target])
    assert "password authentication failed" in (refused.view.reason or "")
    assert_honest(watch, DETECTED_S)
    assert_silent(watch)
    faults.record("password rotated and session terminated, file written after", watch)


async def test_a_wall_clock_that_jumps_changes_nothing_but_time_stamps(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    real = clock.wall_s
    with psycopg.connect(postgres.dsn) as held:
        async with a_linked_watch(postgres.dsn, held) as watch:
            before_s = watch.report().last_success_s
            for hours in (-24, 24):
                monkeypatch.setattr(clock, "wall_s", lambda h=hours: real() + h * 3600)
                await watch.polls(3)
                jumped_s = watch.report().last_success_s
                assert before_s is not None
                assert jumped_s is not None
                assert jumped_s - before_s == pytest.approx(hours * 3600, abs=60)
            since = len(watch.shown) - 20

    assert {each.link for each in watch.shown[since:]} == {"address"}
    assert watch.missed() == {}
    assert all(each.view.up for each in watch.shown[since:])
    assert_honest(watch, DETECTED_S)
    faults.record("wall clock moved by a day, back and forth", watch)


async def test_a_target_that_expects_a_primary_waits_for_one(
    tmp_path: Path, faults: Faults
) -> None:
    with EmbeddedPostgres(port=held_port()) as primary, EmbeddedPostgres(port=held_port()) as other:
        make_replica(other)
        with (
            a_proxy(other.port) as proxy,
            psycopg.connect(via(primary, primary.port)) as held,
        ):
            target = a_target(via(other, proxy.port), expects="primary")
            async with Watch(target, held, primary.port) as watch:
                wrong = await watch.until(lambda shown: shown.view.place is not None)
                switch(proxy, primary)
                right = await watch.until(is_linked)

    assert wrong.view.reason == "wrong_role: a replica answers where a primary is expected"
    assert not wrong.view.up
    assert right.view.place is ServerRole.PRIMARY
    assert {each.link for each in watch.shown if not each.view.up} <= {
        "unlinked:server_down",
        None,
    }
    faults.record("a replica answers where a primary is expected, then the primary", watch)


async def test_a_replica_that_is_promoted_keeps_its_links(faults: Faults) -> None:
    with EmbeddedPostgres(port=held_port()) as server:
        make_replica(server)
        with psycopg.connect(server.dsn) as held:
            async with a_linked_watch(server.dsn, held) as watch:
                assert watch.shown[-1].view.place is ServerRole.REPLICA
                run_sql(server.dsn, "SELECT pg_promote()")
                await watch.until(lambda shown: shown.view.place is ServerRole.PRIMARY)
                await watch.until(is_linked)

    assert watch.report().changes == {"replaced": 0, "promoted": 1}
    assert watch.missed() == {}
    assert {each.verdict for each in watch.shown} & {"lost"} == set()
    faults.record("replica promoted in place", watch)


def make_replica(server: EmbeddedPostgres) -> None:
    """Restart a server as one that recovers for ever, and answers questions meanwhile."""
    server.stop()
    assert server._folder is not None
    signal_file = server._folder / "data" / "standby.signal"
    signal_file.touch()
    server.start()


def test_an_exporter_that_is_killed_begins_anew(postgres: EmbeddedPostgres, faults: Faults) -> None:
    sequence = 0
    judged: list[str] = []

    def is_judged(exporter: ExporterProcess) -> bool:
        nonlocal sequence
        sequence += 1
        exporter.push(a_held_push(sequence, held, postgres.port))
        rows = exporter.checkouts()
        judged.extend(row["verdict"] for row in rows)
        return [row["link"] for row in rows if row["confirmed"]] == ["address"]

    with psycopg.connect(postgres.dsn) as held:
        held.execute("SELECT 1")
        with ExporterProcess("--poll-interval=0.25", "--dsn", postgres.dsn) as first:
            assert wait_until(lambda: is_judged(first))
            first.process.kill()
            killed_at_s = clock.monotonic()
        with ExporterProcess("--poll-interval=0.25", "--dsn", postgres.dsn) as second:
            assert wait_until(lambda: is_judged(second))
            blind_s = clock.monotonic() - killed_at_s
            assert wait_until(lambda: own_sessions(postgres) == 1)

    # What is not known yet is said to be so: nobody is accused, nothing is lost.
    assert set(judged) <= {"unknown", "unconfirmed", "working", "idle_in_transaction"}
    afterwards = "idle_in_transaction, from the application's next push on"
    faults.add(Fault("exporter killed and restarted", blind_s, {}, ["none: it starts"], afterwards))
