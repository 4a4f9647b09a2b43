"""A PostgreSQL data directory: how to make it, and how to read the server's status in it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.postgres_wheel import Programs

Authentication = Literal["trust", "scram-sha-256"]

SUPERUSER = "postgres"

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""For all PostgreSQL processes: a PGDATA or PGPORT of the user's shell must not affect them."""

# postmaster.pid: line 1 is the server's process id, line 8 its status.
STATUS_LINE = 8


class EmbeddedPostgresError(DemoError):
    """The server could not be made or did not start; the message ends with its log."""


def make_data(
    data: Path, programs: Programs, account: Account, auth: Authentication, password: str | None
) -> None:
    """Make the data directory `data`; `password` is the superuser's.

    Raises EmbeddedPostgresError with the output of initdb.
    """
    arguments = ["-D", str(data), "-U", SUPERUSER, f"--auth={auth}", "--no-locale", "-E", "UTF8"]
    arguments += ["--no-sync", "--wal-segsize=1"]
    with _password_arguments(data.with_name("password"), account, password) as secret:
        done = subprocess.run(  # noqa: S603 - a program of the wheel
            [programs.initdb, *arguments, *secret],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # Ctrl-C in the terminal must reach only this process.
            start_new_session=True,
            cwd="/",
            env=ENVIRONMENT,
            **account.process_arguments(),
        )
    if done.returncode != 0:
        raise EmbeddedPostgresError(
            f"initdb failed in {data.parent}. If user {account.uid} cannot enter that directory, "
            f"set TMPDIR to a directory that every user can enter.\n{done.stdout}"
        )


def is_ready(data: Path, pid: int) -> bool:
    """Return whether exactly the server with process id `pid` accepts connections."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= STATUS_LINE and lines[0] == str(pid) and lines[-1].strip() == "ready"


@contextlib.contextmanager
def _password_arguments(path: Path, account: Account, password: str | None) -> Iterator[list[str]]:
    """Yield initdb's arguments for the password, which is in a file only during the call."""
    if password is None:
        yield []
        return
    path.touch(mode=0o600)
    path.write_text(f"{password}\n")
    account.give_ownership(path)
    try:
        yield [f"--pwfile={path}"]
    finally:
        path.unlink()
