"""A temporary PostgreSQL server on loopback, for the demo and for tests that run real SQL."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

from poolscope_exporter import clock
from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.guard import Guard
from poolscope_exporter.demo.ports import HOST, free_ports
from poolscope_exporter.demo.postgres_data import (
    ENVIRONMENT,
    SUPERUSER,
    Authentication,
    EmbeddedPostgresError,
    is_ready,
    make_data,
)
from poolscope_exporter.demo.postgres_wheel import Major, Programs, copy_programs, find_programs

START_TIMEOUT_S = 30.0
FAST_STOP_TIMEOUT_S = 10.0
IMMEDIATE_STOP_TIMEOUT_S = 5.0
READY_CHECK_INTERVAL_S = 0.01
PORT_ATTEMPTS = 3
LOG_LINES_SHOWN = 15

# The demo's data need not survive a power cut, and a small server starts faster.
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "unix_socket_directories": "",
    "listen_addresses": HOST,
}

# $1 is the folder of EmbeddedPostgres. The server removes postmaster.pid when it ends, so after an
# orderly stop there is no process to signal.
WHEN_WE_DIED = """
pid=$(head -n 1 "$1/data/postmaster.pid") && kill -INT "$pid"
tries=0
while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do
  sleep 0.1; tries=$((tries + 1))
done
rm -rf -- "$1"
"""


class EmbeddedPostgres:
    """One PostgreSQL server with its data, on a TCP port of 127.0.0.1.

    `start()` and `stop()` may be repeated: data and port stay the same. `remove()`, or leaving the
    context, also deletes the data. If this process dies first, a guard deletes the data. As root,
    the server runs as `nobody`. The server's folder is made in `directory` (default: the temporary
    directory). The server's account must be able to enter it.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        major: Major = 18,
        programs: Programs | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        auth: Authentication = "trust",
        password: str | None = None,
    ) -> None:
        """Store the arguments; nothing is created before `start()`.

        The programs in `programs` replace those of the wheel for `major`; the server's account must
        be able to run them. With `port` None, a free port is used. The superuser's `password` is
        required by `auth` "scram-sha-256". The `settings` are settings of postgresql.conf.
        """
        if auth != "trust" and password is None:
            raise ValueError(f"auth={auth!r} needs a password for the user {SUPERUSER!r}")
        self.major = major
        self._directory = directory
        self._port = port
        self._settings = {**SETTINGS, **(settings or {})}
        self._auth = auth
        self._password = password
        self._account = Account.ours()
        self._folder: Path | None = None
        self._given = programs
        self._programs: Programs | None = None
        self._guard: Guard | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedPostgres {self.major} port={self._port} running={self.is_running}>"

    @property
    def port(self) -> int:
        """Return the TCP port; raise RuntimeError before the first start if no port was given."""
        if self._port is None:
            raise RuntimeError("the server has no port before start()")
        return self._port

    @property
    def pid(self) -> int:
        """Return the process id of the postmaster; raise RuntimeError if it was not started."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Return whether the server process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def dsn(self) -> str:
        """Return the superuser's libpq URI; it contains the password, if there is one."""
        return self.dsn_for(SUPERUSER, self._password)

    @property
    def sqlalchemy_url(self) -> str:
        """Return the superuser's URL for SQLAlchemy on asyncpg; it may contain the password."""
        return self.dsn.replace("postgresql://", "postgresql+asyncpg://", 1)

    def dsn_for(self, role: str, password: str | None = None, *, database: str = "postgres") -> str:
        """Return the libpq URI with which `role` connects."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{quote(role, safe='')}{secret}@{HOST}:{self.port}/{database}"

    @property
    def log(self) -> str:
        """Return the server's log so far; empty before the first start."""
        path = self._folder / "server.log" if self._folder else None
        return path.read_text(errors="replace") if path and path.exists() else ""

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises EmbeddedPostgresError with the server's log, or WheelMissingError without the wheel.
        """
        if self.is_running:
            return
        if self._folder is None:
            self._folder = self._make()
        for attempts_left in reversed(range(1 if self._port else PORT_ATTEMPTS)):
            port = self._port or free_ports([0])[0]
            self._process = self._launch(port)
            if self._wait_until_ready(self._process):
                self._port = port
                return
            self.stop()
            # Another program may take the free port before the server binds it.
            if not attempts_left or "Address already in use" not in self.log:
                raise EmbeddedPostgresError(
                    f"PostgreSQL {self.major} did not start on {HOST}:{port}:\n{self._log_tail()}"
                )

    def raise_if_stopped(self) -> None:
        """Raise EmbeddedPostgresError with the server's log if it is not running."""
        if not self.is_running:
            raise EmbeddedPostgresError(
                f"PostgreSQL {self.major} is not running; its last log lines:\n{self._log_tail()}"
            )

    def stop(self) -> None:
        """Stop the server and end every session; the data stays. Repeated calls do nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        for stop_signal, timeout_s in (
            (signal.SIGINT, FAST_STOP_TIMEOUT_S),
            (signal.SIGQUIT, IMMEDIATE_STOP_TIMEOUT_S),
            (signal.SIGKILL, None),
        ):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.send_signal(stop_signal)
                process.wait(timeout_s)
                return

    def restart(self) -> None:
        """Stop and start the server on the same port with the same data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop the server and delete its folder. Repeated calls do nothing."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder)
        if self._guard is not None:
            self._guard.dismiss()
        self._folder = self._guard = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _make(self) -> Path:
        programs = self._given or find_programs(self.major)
        try:
            self._account = Account.for_postgres()
        except LookupError as error:
            raise EmbeddedPostgresError(str(error)) from error
        folder = Path(tempfile.mkdtemp(prefix="poolscope-postgres-", dir=self._directory))
        guard = Guard(WHEN_WE_DIED, str(folder), account=self._account)
        try:
            self._fill(folder, programs)
        except BaseException:
            shutil.rmtree(folder)
            guard.dismiss()
            raise
        self._guard = guard
        return folder

    def _fill(self, folder: Path, programs: Programs) -> None:
        self._account.give_ownership(folder)
        if self._given is None and not programs.run_for(self._account):
            programs = copy_programs(self.major, folder / "programs", self._account)
        make_data(folder / "data", programs, self._account, self._auth, self._password)
        self._programs = programs

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        assert self._programs is not None
        assert self._folder is not None
        settings = {**self._settings, "port": str(port)}
        switches = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a program of the wheel
                [self._programs.postgres, "-D", str(self._folder / "data"), *switches],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal must reach only this process: it stops the server last.
                start_new_session=True,
                cwd="/",
                env=ENVIRONMENT,
                **self._account.process_arguments(),
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert self._folder is not None
        deadline = clock.monotonic() + START_TIMEOUT_S
        while process.poll() is None and clock.monotonic() < deadline:
            if is_ready(self._folder / "data", process.pid):
                return True
            time.sleep(READY_CHECK_INTERVAL_S)
        return False

    def _log_tail(self) -> str:
        return "\n".join(self.log.splitlines()[-LOG_LINES_SHOWN:]) or "(it logged nothing)"
