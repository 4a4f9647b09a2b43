"""Several servers from one settings file: told apart, and none disturbs another."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.exporter.held_pushes import a_held_push
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until
from support.processes.pid_namespaces import a_contained_postgres

SECRET = "s3cr3t"


def a_file(folder: Path, *tables: str) -> str:
    file = folder / "poolscope.toml"
    text = "poll_interval_s = 0.2\n" + "".join(f"[[server]]\n{table}\n" for table in tables)
    file.write_text(text)
    return str(file)


def up(exporter: ExporterProcess) -> dict[str, bool]:
    servers = exporter.get("/api/v1/pools").json()["servers"]
    return {server["server"]: server["up"] for server in servers}


def test_each_server_is_polled_and_one_that_fails_disturbs_no_other(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with EmbeddedPostgres() as other:
        file = a_file(
            tmp_path,
            f'name = "a"\ndsn = "{postgres.dsn}"',
            f'name = "b"\ndsn = "{other.dsn}"',
            f'name = "c"\ndsn = "postgresql://u:{SECRET}@127.0.0.1:1/d"',
        )
        with ExporterProcess("--config", file) as exporter:
            assert wait_until(lambda: up(exporter) == {"a": True, "b": True, "c": False})
            other.stop()
            assert wait_until(lambda: up(exporter) == {"a": True, "b": False, "c": False})
            metrics = exporter.get("/metrics").text
            assert 'poolscope_server_up{server="a"} 1' in metrics
            assert SECRET not in metrics + exporter.log + exporter.get("/").text
            assert "watches a, b, c" in exporter.log


def the_same_pids(
    one: EmbeddedPostgres, other: EmbeddedPostgres, stack: contextlib.ExitStack
) -> tuple[psycopg.Connection, psycopg.Connection]:
    """Return a connection to each server whose backends have one pid."""
    found: tuple[dict[int, psycopg.Connection], ...] = ({}, {})
    for _ in range(200):
        for server, connections in zip((one, other), found, strict=True):
            connection = stack.enter_context(psycopg.connect(server.dsn, autocommit=True))
            connections[connection.info.backend_pid] = connection
        if common := found[0].keys() & found[1].keys():
            pid = common.pop()
            return found[0][pid], found[1][pid]
        if len(found[0]) > 80:
            break
    raise AssertionError([sorted(connections) for connections in found])


@pytest.fixture
def twins() -> Iterator[tuple[EmbeddedPostgres, EmbeddedPostgres]]:
    with a_contained_postgres() as one, a_contained_postgres() as other:
        yield one, other


def links(exporter: ExporterProcess) -> list[tuple[str, str | None]]:
    return [(each["link"], each["server_state"]) for each in exporter.checkouts()]


def test_two_servers_that_share_pids_are_never_taken_for_each_other(
    twins: tuple[EmbeddedPostgres, EmbeddedPostgres], tmp_path: Path
) -> None:
    one, other = twins
    file = a_file(
        tmp_path, f'name = "one"\ndsn = "{one.dsn}"', f'name = "other"\ndsn = "{other.dsn}"'
    )
    seen: set[tuple[str, str | None]] = set()
    with contextlib.ExitStack() as stack, ExporterProcess("--config", file) as exporter:
        held, twin = the_same_pids(one, other, stack)
        pid = held.info.backend_pid
        assert twin.info.backend_pid == pid
        twin.execute("BEGIN")
        assert wait_until(lambda: up(exporter) == {"one": True, "other": True})
        sequence = itertools.count(1)

        def is_linked_as(link: str, state: str | None) -> bool:
            exporter.push(a_held_push(next(sequence), held, one.port))
            seen.update(links(exporter))
            return links(exporter) == [(link, state)]

        assert wait_until(lambda: is_linked_as("address", "idle")), links(exporter)
        # The other server goes on having a session of this pid.
        run_sql(one.dsn, "SELECT pg_terminate_backend(%s)", pid)
        assert wait_until(lambda: is_linked_as("unlinked:no_row", None)), links(exporter)

    assert "idle in transaction" not in {state for _, state in seen}
