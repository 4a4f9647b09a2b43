"""A PgBouncer that shuts down, with a whole exporter attached: it waits for nothing of ours.

From version 1.23 on, PgBouncer waits at SIGTERM until every client has left, also a console's. An
older one ends at once, so for that one only the test of the held connection can fail.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from poolscope_generators.incident.pgbouncer import STATS_USER, PgBouncer
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until

BETWEEN_POLLS = "--poll-interval=300"
"""Far beyond the time in which PgBouncer must end."""

WITHIN_S = 30.0


@contextmanager
def attached(*consoles: str) -> Iterator[ExporterProcess]:
    options = [part for each in consoles for part in ("--pgbouncer", each)]
    with ExporterProcess(BETWEEN_POLLS, *options) as exporter:

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_shutdown_does_not_wait_for_the_exporter(
    pgbouncer: PgBouncer, number: signal.Signals
) -> None:
    with attached(pgbouncer.console):
        assert pgbouncer.ends_by(number, WITHIN_S)


def test_between_two_polls_the_exporter_is_no_client_of_the_console(pgbouncer: PgBouncer) -> None:
    with attached(pgbouncer.console):
        assert wait_until(lambda: not console_clients(pgbouncer), WITHIN_S)
