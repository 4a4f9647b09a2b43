"""Behind Odyssey, which has no console that the exporter reads: what is shown is `unknown`.

`make test-matrix ROWS=odyssey-sid` names the program by the variable ODYSSEY.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.programs import wait_until_ready
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.exporter.held_pushes import a_held_push
from support.processes.child_processes import wait_until

PROGRAM = os.environ.get("ODYSSEY")
READY_S = 30.0

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="ODYSSEY names no program")

CONFIGURATION = """
daemonize no
log_to_stdout yes
log_format "%p %l %m\\n"
locks_dir "{folder}"
listen {{ host "127.0.0.1" port {port} }}
storage "server" {{ type "remote" host "127.0.0.1" port {server_port} }}
database default {{
  user default {{
    authentication "none"
    storage "server"
    pool "transaction"
    pool_size 2
  }}
}}
"""


@pytest.fixture
def odyssey(postgres: EmbeddedPostgres, open_folder: Path) -> Iterator[int]:
    """Yield the port of an Odyssey before the server."""
    port = held_port()
    file, log = open_folder / "odyssey.conf", open_folder / "log"
    file.write_text(CONFIGURATION.format(folder=open_folder, port=port, server_port=postgres.port))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAM), str(file)],
            stdout=output,
            stderr=output,
            cwd="/",
            **Account.for_postgres().process_arguments(),
        )
    try:
        wait_until_ready(process, lambda: answers(dsn_through(port)), log, READY_S)
        yield port
    finally:
        process.kill()
        process.wait()


def dsn_through(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def link_of_a_checkout(exporter: ExporterProcess, odyssey: int) -> str:
    """Return the link of a held transaction through Odyssey, once the server was asked."""
    with psycopg.connect(dsn_through(odyssey)) as app:
        app.execute("SELECT 1")
        assert wait_until(exporter.is_up)
        pushes = iter(range(1, 1_000))

        def is_judged() -> bool:
            exporter.push(a_held_push(next(pushes), app, odyssey))
            return bool(exporter.checkouts()[0]["verdict"] == "unknown")

        assert wait_until(is_judged), exporter.checkouts()
        return str(exporter.checkouts()[0]["link"])


def test_no_session_is_linked_and_the_reason_is_the_address(
    postgres: EmbeddedPostgres, odyssey: int
) -> None:
    with ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn) as exporter:
        assert link_of_a_checkout(exporter, odyssey) == "unlinked:unknown_server"


def test_with_its_address_as_an_alias_the_reason_is_the_pooler(
    postgres: EmbeddedPostgres, odyssey: int
) -> None:
    alias = f"--server-alias=127.0.0.1:{odyssey}"
    with ExporterProcess("--poll-interval=0.2", alias, "--dsn", postgres.dsn) as exporter:
        assert link_of_a_checkout(exporter, odyssey) == "unlinked:pooler"


def test_check_reports_that_it_came_through_a_pooler(odyssey: int) -> None:
    done = run_to_the_end("check", "--dsn", dsn_through(odyssey))

    assert "through a pooler" in done.stdout
