"""A whole exporter before PgBouncers, and connections through them that it is pushed."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

FAST = "--poll-interval=0.2"
WITHIN_S = 30.0
SEQUENCE = itertools.count(1)

Until = Callable[[Callable[[dict[str, Any]], bool]], dict[str, Any]]


@contextmanager
def watching(postgres: EmbeddedPostgres, *options: str) -> Iterator[ExporterProcess]:
    """Run an exporter that watches the server, and the bouncers that the options name."""
    monitor = make_role(postgres, "watching_proxies", member_of=("pg_read_all_stats",))
    with ExporterProcess(FAST, "--dsn", monitor, *options) as exporter:
        assert wait_until(lambda: all_up(exporter), WITHIN_S), exporter.log
        yield exporter


def bouncers(exporter: ExporterProcess) -> list[dict[str, Any]]:
    return list(exporter.get("/api/v1/pools").json()["pgbouncers"])


def all_up(exporter: ExporterProcess) -> bool:
    return all(each["up"] for each in bouncers(exporter)) and exporter.is_up()


def holding(
    exporter: ExporterProcess, connection: psycopg.Connection, port: int, **described: Any
) -> Until:
    """Return a function that pushes until the exporter says of the checkout what is expected."""

    def until(is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def push_and_look() -> bool:
            nonlocal found
            exporter.push(a_held_push(next(SEQUENCE), connection, port, **described))
            (found,) = exporter.checkouts()
            return is_so(found)

        assert wait_until(push_and_look, WITHIN_S), found
        return found

    return until


def real_pid(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
