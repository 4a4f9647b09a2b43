"""The demo's processes, each in a separate group that ends with this process."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Self

import httpx

from poolscope_exporter import clock
from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.guard import Guard

STOP_TIMEOUT_S = 5.0
READY_TIMEOUT_S = 30.0
CHECK_INTERVAL_S = 0.1
LOG_LINES_SHOWN = 15

# Settings that the user made for other programs must not change the demo's.
FOREIGN_PREFIXES = ("POOLSCOPE_", "OTEL_", "UVICORN_")

# $1 is the process group. It gets the same time to end as in an orderly stop. (`kill -TERM -- …` is
# not used because the shell of Debian does not accept it.)
WHEN_WE_DIED = 'kill -s TERM -- "-$1"; sleep 5; kill -s KILL -- "-$1"'


class ChildProcess:
    """One Python program of the demo: `python -m <arguments>`; its output goes to a file."""

    def __init__(
        self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        """Store what to run; `environment` is added to this process's, without foreign settings."""
        self.name = name
        self._arguments = [sys.executable, "-m", *arguments]
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._environment = {**_own_environment(), **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal must reach only this process: it stops the others in order.
                start_new_session=True,
                # In the user's folder, a module could replace a module that the demo imports.
                cwd=self._folder,
                env=self._environment,
            )
        self._guard = Guard(WHEN_WE_DIED, str(self._process.pid), account=Account.ours())
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._guard is not None:
            self._guard.dismiss()

    def raise_if_exited(self) -> None:
        """Raise DemoError with the last lines of the log if the process is not running."""
        if self._process is None or self._process.poll() is None:
            return
        self._fail(f"ended unexpectedly with exit code {self._process.returncode}")

    async def wait_until_ready(self, url: str) -> None:
        """Wait until `url` answers without an error; raise DemoError if it never does."""
        deadline = clock.monotonic() + READY_TIMEOUT_S
        async with httpx.AsyncClient(trust_env=False) as client:
            while clock.monotonic() < deadline:
                self.raise_if_exited()
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(url)).is_success:
                        return
                await asyncio.sleep(CHECK_INTERVAL_S)
        self._fail(f"did not answer on {url} within {READY_TIMEOUT_S:.0f} s")

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        for stop_signal in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
                return

    def _fail(self, what: str) -> NoReturn:
        lines = self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        shown = "\n".join(f"  {line}" for line in lines) or "  (it logged nothing)"
        raise DemoError(f"the {self.name} {what}; the last lines of its log:\n{shown}")


async def watch(checks: Sequence[Callable[[], None]]) -> NoReturn:
    """Run the checks again and again; the first that raises ends this."""
    while True:
        for check in checks:
            check()
        await asyncio.sleep(CHECK_INTERVAL_S)


def _own_environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)
    }
