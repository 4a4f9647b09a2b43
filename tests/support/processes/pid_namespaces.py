"""PostgreSQL servers in PID namespaces of their own, as in containers: their pids coincide."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.processes.child_processes import kill_namespace, wait_until


@contextlib.contextmanager
def a_contained_postgres() -> Iterator[EmbeddedPostgres]:
    """Yield a server whose backends count their pids from 1 on; skips where that cannot be."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("a PID namespace needs root, unshare and setpriv (util-linux)")
    with EmbeddedPostgres() as server:
        server.stop()
        assert server._folder is not None
        assert server._programs is not None
        account = server._account.process_arguments()
        command = [
            *("unshare", "--pid", "--fork", "--kill-child"),
            *("setpriv", f"--reuid={account['user']}", f"--regid={account['group']}"),
            *("--clear-groups", str(server._programs.postgres)),
            *("-D", str(server._folder / "data")),
            *("-c", f"port={server.port}", "-c", "listen_addresses=127.0.0.1"),
            *("-c", "unix_socket_directories="),
        ]
        with (server._folder / "contained.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        try:
            assert wait_until(lambda: _answers(server.dsn))
            yield server
        finally:
            kill_namespace(process)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True
