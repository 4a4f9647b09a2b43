"""A real PgBouncer, from the system's package, on a free port of this machine.

The variable PGBOUNCER names another one: `make test-matrix` sets it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psycopg

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.ports import HOST
from poolscope_generators.incident.programs import wait_until_ready
from poolscope_generators.ports import held_port

# Debian installs it beside other daemons, where an ordinary user's PATH does not lead.
PROGRAM = (
    os.environ.get("PGBOUNCER")
    or shutil.which("pgbouncer")
    or shutil.which("pgbouncer", path="/usr/sbin")
)
STATS_USER = "watcher"
READY_S = 30.0
ROLES = ("postgres", STATS_USER, "nobody_special")

INI = """
[databases]
postgres = host={server_host} port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir = {sockets}
auth_type = trust
auth_file = {folder}/users.txt
stats_users = {stats_user}
admin_users = postgres
{settings}
"""


class Listening(Protocol):
    """A server, or what leads to one."""

    @property
    def port(self) -> int:
        """Return its TCP port on loopback."""


class PgBouncer:
    """One PgBouncer before a server, pooling transactions; as root it runs as `nobody`.

    `server` may be another bouncer, `port` one that others share. `settings` are those of its
    [pgbouncer] section; with a `socket_folder` it listens there too. Stopping it breaks its
    connections.
    """

    def __init__(
        self,
        server: Listening,
        *,
        server_host: str = HOST,
        port: int | None = None,
        socket_folder: Path | None = None,
        **settings: str | int,
    ) -> None:
        self._server = server
        self._server_host = server_host
        self._settings = {"pool_mode": "transaction", "default_pool_size": 2, **settings}
        self.port = port or held_port()
        self._socket_folder = socket_folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Return how an application reaches the server through this bouncer."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """Return the process's id, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def console(self) -> str:
        """Return how its statistics are read."""
        return self.console_for(STATS_USER)

    def console_for(self, role: str) -> str:
        """Return how a role reaches its console."""
        return f"postgresql://{role}@{HOST}:{self.port}/pgbouncer"

    def start(self) -> None:
        """Start it and wait until its console answers."""
        assert PROGRAM is not None
        folder = Path(self._folder.name)
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-q", str(folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                **Account.for_postgres().process_arguments(),
            )
        wait_until_ready(self._process, self._answers, folder / "log", READY_S)

    def stop(self) -> None:
        """End it; every connection through it breaks."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # at SIGTERM, 1.23 and later wait for every client
            process.wait(10)

    def ends_by(self, number: signal.Signals, within_s: float) -> bool:
        """Send a signal, and return whether the process ends within this time."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it without a chance to say so to anybody."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait(10)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="poolscope-pgbouncer-")
        folder = Path(self._folder.name)
        (folder / "users.txt").write_text("".join(f'"{role}" ""\n' for role in ROLES))
        (folder / "pgbouncer.ini").write_text(self._ini(folder))
        Account.for_postgres().give_ownership(folder)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _ini(self, folder: Path) -> str:
        settings = "\n".join(f"{name} = {value}" for name, value in self._settings.items())
        return INI.format(
            server_host=self._server_host,
            server_port=self._server.port,
            host=HOST,
            port=self.port,
            folder=folder,
            sockets=self._socket_folder or "",
            stats_user=STATS_USER,
            settings=settings,
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.console, autocommit=True).close()
        except psycopg.OperationalError:
            return False
        return True
