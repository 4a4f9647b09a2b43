"""An exporter in its own process, on free ports of this machine, as a user runs it."""

import os
import re
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from support.exporter.live_pages import shown_on_pages
from support.processes.child_processes import wait_until

PUSH_INTERVAL_S = 2.0
"""Of an application that a test lets push: who misses three pushes is gone, and on a busy machine a
thread may not run for a second."""

ANSWERS_WITHIN_S = 30.0
"""On a busy machine, a process may not run for seconds."""

LOOPBACK_CERT = Path(__file__).parents[1] / "tls" / "loopback.crt"
LOOPBACK_KEY = LOOPBACK_CERT.with_suffix(".key")
"""A certificate for 127.0.0.1, signed by itself; its key is no secret."""

RUN = ("run", "--listen=127.0.0.1:0", "--otlp-listen=127.0.0.1:0")


def exporter_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "poolscope_exporter.cli", *arguments]


def clean_environment(**variables: str) -> dict[str, str]:
    """Return our environment without any setting of poolscope but these."""
    ours = {name: value for name, value in os.environ.items() if "POOLSCOPE" not in name}
    return ours | variables


def run_to_the_end(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        exporter_command(*arguments),
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class ExporterProcess:
    """`poolscope-exporter run`; `otlp` and `web` are its addresses once it has started."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self._command = exporter_command(*RUN, *arguments)
        self._environment = clean_environment(**variables)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="poolscope-test-")
        self._out, self._err = (Path(self._folder.name) / name for name in ("out", "err"))
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=err
            )
        trusted = ssl.create_default_context(cafile=LOOPBACK_CERT)
        self._client = httpx.Client(trust_env=False, verify=trusted, timeout=ANSWERS_WITHIN_S)
        has_started, log = wait_until(lambda: "watches" in self.log), self.log
        if not has_started:
            self.__exit__(None, None, None)  # nobody else would end it
        assert has_started, log
        self.web, self.otlp = re.findall(r" on (https?://\S+)", log)[:2]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    @property
    def log(self) -> str:
        return self._err.read_text()

    @property
    def events(self) -> str:
        return self._out.read_text()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._client.get(self.web + path, headers=headers)

    def pages(self) -> str:
        """Return the text of the start page and of the page of each pool."""
        return shown_on_pages(lambda path: self.get(path).text)

    def push(
        self,
        body: bytes,
        content_type: str = "application/x-protobuf",
        token: str | None = None,
    ) -> httpx.Response:
        headers = {"Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self._client.post(f"{self.otlp}/v1/metrics", content=body, headers=headers)

    def server(self) -> dict[str, Any]:
        """Return what the exporter says of its only server."""
        (server,) = self.get("/api/v1/pools").json()["servers"]
        return dict(server)

    def checkouts(self) -> list[dict[str, Any]]:
        return list(self.get("/api/v1/checkouts").json()["checkouts"])

    def is_up(self) -> bool:
        return bool(self.server()["up"])
