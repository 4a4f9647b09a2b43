"""The exporter as a process, with a PgBouncer between application and server."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from html import unescape
from typing import Any

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.exporter.held_pushes import a_held_push
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

FAST = "--poll-interval=0.2"


@pytest.fixture
def watched(postgres: EmbeddedPostgres, pgbouncer: PgBouncer) -> Iterator[ExporterProcess]:
    """Yield an exporter that watches the server and asks the bouncer before it."""
    monitor = make_role(postgres, "watching_behind", member_of=("pg_read_all_stats",))
    with ExporterProcess(FAST, "--dsn", monitor, "--pgbouncer", pgbouncer.console) as exporter:
        assert wait_until(lambda: is_asking(exporter))
        yield exporter


def the_bouncer(exporter: ExporterProcess) -> dict[str, Any]:
    (bouncer,) = exporter.get("/api/v1/pools").json()["pgbouncers"]
    return dict(bouncer)


def is_asking(exporter: ExporterProcess) -> bool:
    return bool(the_bouncer(exporter)["up"])


@contextmanager
def holding(
    exporter: ExporterProcess, connection: psycopg.Connection, port: int, **described: Any
) -> Iterator[Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]]:
    """Yield a function that pushes until the exporter says of the checkout what is expected."""
    sequence = 0

    def until(is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def push_and_look() -> bool:
            nonlocal sequence
            sequence += 1
            exporter.push(a_held_push(sequence, connection, port, **described))
            (checkout,) = exporter.checkouts()
            return is_so(checkout)

        assert wait_until(push_and_look), exporter.checkouts()
        (checkout,) = exporter.checkouts()
        return checkout

    yield until


def real_pid(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def test_a_held_transaction_is_linked_to_its_session(
    watched: ExporterProcess, pgbouncer: PgBouncer, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(pgbouncer.dsn) as app:
        pid = real_pid(app)
        with holding(watched, app, pgbouncer.port) as until:
            found = until(lambda checkout: checkout["verdict"] == "idle_in_transaction")
        metrics = watched.get("/metrics").text

    assert (found["link"], found["backend_pid"]) == ("pgbouncer", pid)
    assert found["server_state"] == "idle in transaction"
    assert found["pgbouncer"] == f"127.0.0.1:{pgbouncer.port}"
    assert 'poolscope_links{level="pgbouncer",reason=""} 1.0' in metrics
    assert f'poolscope_pgbouncer_up{{pgbouncer="127.0.0.1:{pgbouncer.port}"}} 1.0' in metrics
    assert f'pgbouncer="127.0.0.1:{pgbouncer.port}",state="active"}} 1.0' in metrics
    [destination] = re.findall("^poolscope_pool_destination{.*", metrics, re.MULTILINE)
    assert f'server="127.0.0.1:{postgres.port}"' in destination
    assert f'pgbouncer="127.0.0.1:{pgbouncer.port}"' in destination


def test_a_pid_that_happens_to_be_somebody_elses_changes_nothing(
    watched: ExporterProcess, pgbouncer: PgBouncer, postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres.dsn) as other, psycopg.connect(pgbouncer.dsn) as app:
        pid = real_pid(app)
        other.execute("SELECT 1")
        stolen = other.info.backend_pid
        with holding(watched, app, pgbouncer.port, backend_pid=stolen) as until:
            found = until(lambda checkout: checkout["verdict"] == "idle_in_transaction")

    assert found["backend_pid"] == pid


@pytest.mark.parametrize(
    ("evidence", "verdict"), [(None, "held_idle"), ("request_finished", "leaked")]
)
def test_a_client_without_a_server_is_a_matter_of_the_pool_alone(
    watched: ExporterProcess, pgbouncer: PgBouncer, evidence: str | None, verdict: str
) -> None:
    with psycopg.connect(pgbouncer.dsn) as app:
        app.execute("SELECT 1")
        app.rollback()
        with holding(watched, app, pgbouncer.port, evidence=evidence) as until:
            found = until(lambda checkout: checkout["verdict"] == verdict)

    assert found["reason"] == "idle_in_pooler"
    assert found["link"] == "unlinked:idle_in_pooler"
    assert (found["backend_pid"], found["server_state"]) == (None, None)


def test_a_client_in_the_bouncers_queue_is_told_and_makes_the_server_side_full(
    watched: ExporterProcess, pgbouncer: PgBouncer
) -> None:
    with ExitStack() as stack:
        late = stack.enter_context(psycopg.connect(pgbouncer.dsn, autocommit=True))
        waiting = threading.Thread(target=late.execute, args=("SELECT 1",))
        # Whatever fails here: the holders go first, then what waits for them, then its connection.
        stack.callback(waiting.join)
        for _ in range(2):
            stack.enter_context(psycopg.connect(pgbouncer.dsn)).execute("SELECT 1")
        waiting.start()
        with holding(watched, late, pgbouncer.port) as until:
            found = until(lambda checkout: checkout["reason"] == "waiting_in_pooler")
            until(lambda _: diagnosis(watched) == "server_full")

    assert (found["verdict"], found["link"]) == ("working", "unlinked:waiting_in_pooler")


def diagnosis(exporter: ExporterProcess) -> str:
    (pool,) = exporter.get("/api/v1/pools").json()["pools"]
    return str(pool["diagnosis"])


def test_a_connection_that_the_bouncer_closed_is_lost(
    watched: ExporterProcess, pgbouncer: PgBouncer
) -> None:
    with psycopg.connect(pgbouncer.dsn) as app:
        app.execute("SELECT 1")
        app.rollback()
        with holding(watched, app, pgbouncer.port) as until:
            until(lambda checkout: checkout["reason"] == "idle_in_pooler")
            with psycopg.connect(pgbouncer.console_for("postgres"), autocommit=True) as admin:
                admin.execute("SET client_idle_timeout = 1", prepare=False)
            found = until(lambda checkout: checkout["verdict"] == "lost")

    assert found["reason"] == "client_gone"


def test_a_bouncer_that_stops_is_told_and_found_again(
    watched: ExporterProcess, pgbouncer: PgBouncer
) -> None:
    with closing(psycopg.connect(pgbouncer.dsn)) as app:
        app.execute("SELECT 1")
        with holding(watched, app, pgbouncer.port) as until:
            until(lambda checkout: checkout["link"] == "pgbouncer")
            pgbouncer.stop()
            found = until(lambda checkout: checkout["reason"] == "pooler_down")
    down = the_bouncer(watched)
    page = watched.pages()

    pgbouncer.start()
    assert wait_until(lambda: is_asking(watched))
    assert found["verdict"] == "unknown"
    assert down["clients"] is None
    assert down["reason"].startswith(("refused", "terminated"))
    assert down["reason"] in unescape(page)
    assert watched.server()["up"]
    assert "Traceback" not in watched.log


def test_without_a_server_the_bouncer_alone_is_asked(pgbouncer: PgBouncer) -> None:
    with (
        ExporterProcess(FAST, POOLSCOPE_PGBOUNCERS=pgbouncer.console) as exporter,
        psycopg.connect(pgbouncer.dsn) as app,
    ):
        app.execute("SELECT 1")
        with holding(exporter, app, pgbouncer.port) as until:
            until(lambda checkout: checkout["link"] == "unlinked:no_server")
            app.rollback()
            until(lambda checkout: checkout["link"] == "unlinked:idle_in_pooler")


def test_check_shows_the_bouncer(pgbouncer: PgBouncer, postgres: EmbeddedPostgres) -> None:
    ended = run_to_the_end("check", "--dsn", postgres.dsn, "--pgbouncer", pgbouncer.console)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert lines["pgbouncer"].startswith(f"127.0.0.1:{pgbouncer.port}: PgBouncer 1.")
    assert lines["clients"] == "0 active, 0 idle, 0 waiting"
    assert "server_idle_timeout 600 s" in lines["time-outs"]


def test_check_names_the_cure_where_the_bouncer_refuses(pgbouncer: PgBouncer) -> None:
    ended = run_to_the_end("check", "--pgbouncer", pgbouncer.console_for("nobody_special"))

    assert ended.returncode == 1
    assert "missing     permission to query: add the role to stats_users" in ended.stdout
