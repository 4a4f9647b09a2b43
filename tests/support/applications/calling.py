"""The app of `calling_app` in a process of its own, and when its calls failed."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from poolscope_exporter.demo.ports import HOST
from support.exporter.exporter_process import clean_environment

TESTS = Path(__file__).parents[2]


class CallingApp:
    """One service with one pool, at the default settings of poolscope."""

    def __init__(self, service: str, dsn: str, otlp: str, folder: Path) -> None:
        self.service = service
        self._host = folder / f"{service}.host"
        self._journal = folder / f"{service}.journal"
        self._log = folder / f"{service}.log"
        self.look_up(HOST)
        paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
        self._environment = clean_environment(
            PYTHONPATH=os.pathsep.join(filter(None, paths)),
            CALLING_DATABASE_URL=dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
            CALLING_HOST_FILE=str(self._host),
            OTEL_SERVICE_NAME=service,
            POOLSCOPE_ENDPOINT=otlp,
        )

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "support.applications.calling_app"]
        with self._journal.open("wb") as out, self._log.open("wb") as err:
            self._process = subprocess.Popen(command, env=self._environment, stdout=out, stderr=err)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def look_up(self, host: str) -> None:
        """Let the app connect to this host from now on."""
        self._host.write_text(host, encoding="utf-8")

    def first_failure_s(self) -> float | None:
        """Return when a call failed for the first time, by the monotonic clock."""
        lines = [line.split() for line in self._journal.read_text().splitlines()]
        return next((float(at_s) for word, at_s, *_ in lines if word == "failing"), None)
