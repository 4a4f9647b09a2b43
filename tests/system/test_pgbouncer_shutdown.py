"""A PgBouncer that shuts down, with a whole exporter attached: it waits for nothing of ours.

From version 1.23 on, PgBouncer waits at SIGTERM until every client has left, also a console's. An
older one ends at once, so for that one only the test of the held connection can fail.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import STATS_USER, PgBouncer
from support.exporter.exporter_process import ExporterProcess
from support.pgbouncer import require_pgbouncer
from support.processes.child_processes import wait_until

BETWEEN_POLLS = "--poll-interval=300"
"""Far beyond the time in which PgBouncer must end."""

ALL_THE_TIME = "--poll-interval=0.2"
"""The shortest interval that there is."""

WITHIN_S = 30.0


@contextmanager
def attached(console: str, interval: str = BETWEEN_POLLS) -> Iterator[ExporterProcess]:
    with ExporterProcess(interval, "--pgbouncer", console) as exporter:

        def all_up() -> bool:
            return all(each["up"] for each in exporter.get("/api/v1/pools").json()["pgbouncers"])

        assert wait_until(all_up, WITHIN_S), exporter.log
        yield exporter


def console_clients(pgbouncer: PgBouncer) -> list[str]:
    """Return the users that are connected to the console, without the one that counts them."""
    with psycopg.connect(
        pgbouncer.console_for("postgres"), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as admin:
        cursor = admin.execute("SHOW CLIENTS")
        columns = [each.name for each in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor]
    return [row["user"] for row in rows if row["user"] == STATS_USER]


@pytest.mark.parametrize("interval", [BETWEEN_POLLS, ALL_THE_TIME])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_does_not_wait_for_the_exporter(
    pgbouncer: PgBouncer, number: signal.Signals, interval: str
) -> None:
    with attached(pgbouncer.console, interval):
        assert pgbouncer.ends_by(number, WITHIN_S)


def test_a_shutdown_does_not_wait_for_polls_over_a_unix_socket(
    postgres: EmbeddedPostgres, open_folder: Path
) -> None:
    """From 1.23 on, a console stays open on that socket until the last client has left."""
    require_pgbouncer()
    with PgBouncer(postgres, socket_folder=open_folder) as bouncer:
        console = f"host={open_folder} port={bouncer.port} user={STATS_USER}"
        with attached(console, ALL_THE_TIME):
            assert bouncer.ends_by(signal.SIGTERM, WITHIN_S)


def test_between_two_polls_the_exporter_is_no_client_of_the_console(pgbouncer: PgBouncer) -> None:
    with attached(pgbouncer.console):
        assert wait_until(lambda: not console_clients(pgbouncer), WITHIN_S)
