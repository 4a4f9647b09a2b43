"""A real MariaDB from the system's packages, for `make test-all`."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.processes.child_processes import wait_until


@dataclass(frozen=True)
class MariaDB:
    """A running server; its `root` has no password, and may come over TCP."""

    port: int

    def url(self, driver: str) -> str:
        return f"mysql+{driver}://root@{HOST}:{self.port}/test"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """Start MariaDB on a free port of loopback, as `nobody` where we are root."""
    with tempfile.TemporaryDirectory(prefix="poolscope-mariadb-") as name:
        folder = Path(name)
        account = _account(folder)
        install = ["mariadb-install-db", f"--datadir={folder}/data", "--skip-name-resolve"]
        install += ["--auth-root-authentication-method=normal"]
        subprocess.run(install, check=True, capture_output=True, cwd="/", **account)
        port = held_port()
        server = ["mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--port={port}"]
        server += [f"--bind-address={HOST}", f"--socket={folder}/socket", "--skip-name-resolve"]
        server += [f"--pid-file={folder}/pid"]
        process = subprocess.Popen(server, stderr=subprocess.DEVNULL, cwd="/", **account)
        try:
            assert wait_until(lambda: _answers(port))
            yield MariaDB(port)
        finally:
            process.terminate()
            process.wait(60)


def _account(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _answers(port: int) -> bool:
    try:
        connection = pymysql.connect(host=HOST, port=port, user="root")
    except pymysql.OperationalError:
        return False
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS test")
    return True
