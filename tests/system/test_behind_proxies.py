"""Whole exporters before real PgBouncers: what is told apart there, in each mode and situation."""

import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from poolscope_generators.ports import held_port
from support.exporter.bouncer_watch import WITHIN_S, bouncers, holding, real_pid, watching
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.pgbouncer import require_pgbouncer
from support.processes.child_processes import wait_until


def the_pool(exporter: ExporterProcess) -> dict[str, Any]:
    (pool,) = exporter.get("/api/v1/pools").json()["pools"]
    return dict(pool)


@pytest.mark.parametrize(
    ("mode", "evidence", "verdict", "link"),
    [
        ("session", None, "held_idle", "pgbouncer"),
        ("session", "request_finished", "leaked", "pgbouncer"),
        ("transaction", None, "held_idle", "unlinked:idle_in_pooler"),
        ("transaction", "request_finished", "leaked", "unlinked:idle_in_pooler"),
    ],
)
def test_held_between_transactions_costs_the_server_a_session_in_session_mode_alone(
    postgres: EmbeddedPostgres, mode: str, evidence: str | None, verdict: str, link: str
) -> None:
    require_pgbouncer()
    with (
        PgBouncer(postgres, pool_mode=mode) as bouncer,
        watching(postgres, "--pgbouncer", bouncer.console) as exporter,
        psycopg.connect(bouncer.dsn) as app,
    ):
        pid = real_pid(app)
        app.rollback()
        until = holding(exporter, app, bouncer.port, evidence=evidence)
        found = until(lambda checkout: checkout["verdict"] == verdict)

    holds_session = link == "pgbouncer"
    assert found["link"] == link
    assert found["backend_pid"] == (pid if holds_session else None)
    assert found["server_state"] == ("idle" if holds_session else None)


def test_who_waits_in_the_queue_is_told_with_the_age_of_the_wait(
    postgres: EmbeddedPostgres, pgbouncer: PgBouncer
) -> None:
    with watching(postgres, "--pgbouncer", pgbouncer.console) as exporter, ExitStack() as stack:
        late = stack.enter_context(psycopg.connect(pgbouncer.dsn, autocommit=True))
        waiting = threading.Thread(target=late.execute, args=("SELECT 1",))
        stack.callback(waiting.join)
        for _ in range(2):
            stack.enter_context(psycopg.connect(pgbouncer.dsn)).execute("SELECT 1")
        waiting.start()
        until = holding(exporter, late, pgbouncer.port)
        found = until(lambda each: (each["lasted_s"] or 0) > 1 and is_confirmed(each))
        assert wait_until(lambda: the_pool(exporter)["diagnosis"] == "server_full", WITHIN_S)
        reasons = the_pool(exporter)["reasons"]
        (bouncer,) = bouncers(exporter)
        metrics = exporter.get("/metrics").text

    assert found["reason"] == "waiting_in_pooler"
    assert any(reason.startswith("the longest of them has waited for ") for reason in reasons)
    assert not any("paused" in reason for reason in reasons)
    assert bouncer["headroom"]["tightest"] == "pool"
    assert (bouncer["headroom"]["free"], bouncer["headroom"]["limit"]) == (0, 2)
    name = f'pgbouncer="127.0.0.1:{pgbouncer.port}"'
    assert f'poolscope_pgbouncer_headroom{{{name},scope="pool"}} 0.0' in metrics
    assert f'poolscope_pgbouncer_connections_limit{{{name},scope="clients"}} 100.0' in metrics


def is_confirmed(checkout: dict[str, Any]) -> bool:
    return bool(checkout["confirmed"])


def test_who_waits_in_a_paused_bouncer_is_told_so_until_it_is_resumed(
    postgres: EmbeddedPostgres, pgbouncer: PgBouncer
) -> None:
    with watching(postgres, "--pgbouncer", pgbouncer.console) as exporter, ExitStack() as stack:
        app = stack.enter_context(psycopg.connect(pgbouncer.dsn, autocommit=True))
        waiting = threading.Thread(target=app.execute, args=("SELECT 1",))
        stack.callback(waiting.join)
        admin = stack.enter_context(
            psycopg.connect(pgbouncer.console_for("postgres"), autocommit=True)
        )
        admin.execute("PAUSE postgres", prepare=False)
        stack.callback(admin.execute, "RESUME postgres", prepare=False)
        waiting.start()
        until = holding(exporter, app, pgbouncer.port)
        until(lambda _: "is paused" in " ".join(the_pool(exporter)["reasons"]))
        (paused,) = bouncers(exporter)
        page = exporter.pages()
        admin.execute("RESUME postgres", prepare=False)
        until(lambda checkout: checkout["reason"] == "idle_in_pooler")
        stack.pop_all()
        waiting.join()
        admin.close()
        app.close()

    assert paused["paused"] == ["postgres"]
    assert "paused</span> <small>postgres" in page


def test_a_bouncer_that_is_killed_is_down_and_linked_through_again_when_it_is_back(
    postgres: EmbeddedPostgres, pgbouncer: PgBouncer
) -> None:
    with watching(postgres, "--pgbouncer", pgbouncer.console) as exporter:
        with closing(psycopg.connect(pgbouncer.dsn)) as app:
            app.execute("SELECT 1")
            until = holding(exporter, app, pgbouncer.port)
            until(lambda checkout: checkout["link"] == "pgbouncer")
            pgbouncer.kill()
            found = until(lambda checkout: checkout["reason"] == "pooler_down")
            (down,) = bouncers(exporter)
            server = exporter.server()
        pgbouncer.start()
        with psycopg.connect(pgbouncer.dsn) as app:
            pid = real_pid(app)
            until = holding(exporter, app, pgbouncer.port, checkout_id=2)
            again = until(lambda checkout: checkout["link"] == "pgbouncer")

    assert (found["verdict"], found["backend_pid"]) == ("unknown", None)
    assert (down["up"], down["clients"], down["headroom"]) == (False, None, None)
    assert server["up"]
    assert again["backend_pid"] == pid


def test_a_bouncer_behind_a_bouncer_is_unlinked_with_a_reason(
    postgres: EmbeddedPostgres, pgbouncer: PgBouncer
) -> None:
    with (
        PgBouncer(pgbouncer) as outer,
        watching(postgres, "--pgbouncer", outer.console) as exporter,
        psycopg.connect(outer.dsn) as app,
    ):
        app.execute("SELECT 1")
        until = holding(exporter, app, outer.port)
        found = until(lambda checkout: checkout["reason"] not in {None, "not_sampled"})

    assert found["verdict"] == "unknown"
    # Two in a thousand of the pids that a bouncer invents look like real ones.
    assert found["reason"] in {"pooler", "unknown_server"}
    assert (found["pgbouncer"], found["backend_pid"]) == (f"127.0.0.1:{outer.port}", None)


def test_processes_that_share_a_port_are_told_apart_by_their_consoles(
    postgres: EmbeddedPostgres, open_folder: Path
) -> None:
    require_pgbouncer()
    port = held_port()
    with ExitStack() as stack:
        folders = [open_folder / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
            folder.chmod(0o777)
            shared = PgBouncer(postgres, port=port, socket_folder=folder, so_reuseport=1)
            stack.enter_context(shared)
        consoles = [f"host={folder} port={port} user=watcher" for folder in folders]
        options = [part for each in consoles for part in ("--pgbouncer", each)]
        exporter = stack.enter_context(watching(postgres, *options))
        dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        through: set[str] = set()
        for number in range(1, 17):  # the kernel deals them out
            with psycopg.connect(dsn) as app:
                pid = real_pid(app)
                until = holding(exporter, app, port, checkout_id=number)
                found = until(lambda checkout: checkout["link"] == "pgbouncer")
                assert found["backend_pid"] == pid
                through.add(found["pgbouncer"])
            if len(through) == len(folders):
                break
        both = run_to_the_end("check", *options)
        one = run_to_the_end("check", *options[:2])

    assert (both.returncode, one.returncode) == (0, 1), both.stdout + one.stdout
    assert f"port {port} (so_reuseport)" in one.stdout
    assert through == {f"{folder}:{port}" for folder in folders}


def test_a_client_over_a_unix_socket_is_counted_and_has_no_witness(
    postgres: EmbeddedPostgres, open_folder: Path
) -> None:
    require_pgbouncer()
    with (
        PgBouncer(postgres, socket_folder=open_folder) as bouncer,
        watching(postgres, "--pgbouncer", bouncer.console) as exporter,
        psycopg.connect(f"host={open_folder} port={bouncer.port} user=postgres") as app,
    ):
        app.execute("SELECT 1")
        until = holding(exporter, app, bouncer.port)
        found = until(lambda checkout: checkout["reason"] not in {None, "not_sampled"})
        assert wait_until(lambda: bouncers(exporter)[0]["clients"]["active"] == 1, WITHIN_S)

    assert (found["verdict"], found["reason"]) == ("unknown", "no_witness")


def test_a_name_is_resolved_to_the_bouncers_behind_it(
    postgres: EmbeddedPostgres, pgbouncer: PgBouncer
) -> None:
    by_name = pgbouncer.console.replace("127.0.0.1", "localhost")
    with (
        watching(postgres, "--pgbouncer", by_name) as exporter,
        psycopg.connect(pgbouncer.dsn) as app,
    ):
        pid = real_pid(app)
        until = holding(exporter, app, pgbouncer.port)
        found = until(lambda checkout: checkout["link"] == "pgbouncer")
        metrics = exporter.get("/metrics").text

    name = f"localhost:{pgbouncer.port}"
    assert (found["backend_pid"], found["pgbouncer"]) == (pid, f"{name}/127.0.0.1")
    assert (
        f'poolscope_pgbouncer_resolutions_total{{result="failed",target="{name}"}} 0.0' in metrics
    )
    assert f'poolscope_pgbouncer_up{{pgbouncer="{name}/127.0.0.1"}} 1.0' in metrics


@pytest.mark.parametrize(
    ("recycle_s", "result"), [(None, "unknown"), (224.0, "ok"), (225.0, "ok"), (226.0, "warn")]
)
def test_c4_holds_the_recycle_time_against_the_bouncers_own_setting(
    postgres: EmbeddedPostgres, recycle_s: float | None, result: str
) -> None:
    require_pgbouncer()
    with (
        PgBouncer(postgres, client_idle_timeout=300) as bouncer,
        watching(postgres, "--pgbouncer", bouncer.console, "--proxy-idle-timeout=350") as exporter,
        psycopg.connect(bouncer.dsn) as app,
    ):
        holding(exporter, app, bouncer.port, recycle_s=recycle_s)(lambda _: True)
        pool = the_pool(exporter)
        metrics = exporter.get("/metrics").text

    (check,) = [each for each in pool["config_checks"] if each["check_id"] == "C4"]
    assert (check["check_id"], check["result"], check["value"]) == ("C4", result, recycle_s)
    assert check["safe_range"] == "at most 225 s"
    assert (check["cure"] is None) is (result == "ok")
    assert (pool["proxy_idle_timeout_s"], pool["proxy_idle_timeout_source"]) == (300, "pgbouncer")
    assert 'check_id="C4",db_client_connection_pool_name="orders"' in metrics
    assert 'poolscope_proxy_idle_timeout_seconds{pgbouncer="",source="configured"} 350.0' in metrics


def test_check_resolves_a_name_and_tells_the_room_and_the_pause(
    pgbouncer: PgBouncer, postgres: EmbeddedPostgres
) -> None:
    by_name = pgbouncer.console.replace("127.0.0.1", "localhost")
    with psycopg.connect(pgbouncer.dsn) as app:
        app.execute("SELECT 1")
        told = run_to_the_end("check", "--pgbouncer", by_name)

    assert told.returncode == 0, told.stdout + told.stderr
    assert f"pgbouncer   localhost:{pgbouncer.port}/127.0.0.1: PgBouncer 1." in told.stdout
    room = "1 more server connections of postgres/postgres: 1 of 2 are used"
    assert f"headroom    {room}" in told.stdout
    assert "more clients: " in told.stdout


def test_check_names_the_cure_of_a_name_that_does_not_resolve() -> None:
    told = run_to_the_end(
        "check", "--pgbouncer", "host=no-such-host.invalid user=u password=s3cr3t"
    )
    assert told.returncode == 1
    assert "no-such-host.invalid was not resolved" in told.stdout
    assert "check the host name" in told.stdout
    assert "s3cr3t" not in told.stdout + told.stderr
