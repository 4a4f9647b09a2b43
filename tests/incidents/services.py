"""The services of the incidents: processes of `incidents.app`, each on a port that stays."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.processes.child_processes import wait_until

TESTS = Path(__file__).parents[1]
STARTS_WITHIN_S = 60
STOPS_WITHIN_S = 15
PATIENCE_S = 40.0
USERS = 30
"""Of one way of calling may wait at once; further ones go away."""


@dataclass(slots=True)
class Service:
    """One process of a service, which may be released anew with other settings of its pool."""

    name: str
    dsn: str
    otlp: str
    folder: Path
    pool: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=held_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the process and wait until it answers; it may not reach its database."""
        paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
        environment = clean_environment(
            PYTHONPATH=os.pathsep.join(filter(None, paths)),
            INCIDENT_DSN=self.dsn,
            INCIDENT_POOL=json.dumps(dict(self.pool)),
            OTEL_SERVICE_NAME=self.name,
            POOLSCOPE_ENDPOINT=self.otlp,
        )
        command = [
            sys.executable, "-m", "uvicorn", "incidents.app:app", f"--host={HOST}",
            f"--port={self.port}", "--log-level=critical", "--no-access-log",
            "--timeout-graceful-shutdown=3",
        ]  # fmt: skip
        log = self.folder / f"{self.name}-{self.port}.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        assert wait_until(self._answers, STARTS_WITHIN_S), log.read_text()

    def stop(self) -> None:
        """End the process as a deployment does: it may finish, and say good-bye."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def release(self, pool: Mapping[str, Any] | None = None) -> None:
        """Replace the process by a new one: without what the old one was told, and mended."""
        self.stop()
        if pool is not None:
            self.pool = pool
        self.start()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended"
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/openapi.json", trust_env=False).is_success
        return False


class Traffic:
    """Clients of one way of calling a service, until they are stopped; they never wait in turn.

    Regular ones call at once, and then at fixed intervals.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        per_s: float,
        *,
        is_regular: bool = False,
    ) -> None:
        self.per_s = per_s
        self._is_regular = is_regular
        self.answers = 0
        self.failures = 0
        self._call = (method, url)
        self._client = client
        self._requests: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send no more, and leave those that still wait."""
        tasks = [self._task, *self._requests]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> None:
        while True:
            if not self._is_regular:
                await asyncio.sleep(random.expovariate(self.per_s))
            if len(self._requests) < USERS:
                request = asyncio.create_task(self.call_once())
                self._requests.add(request)
                request.add_done_callback(self._requests.discard)
            if self._is_regular:
                await asyncio.sleep(1 / self.per_s)

    async def call_once(self) -> None:
        """Call, and count whether it worked."""
        try:
            answer = await self._client.request(*self._call)
        except httpx.HTTPError:
            self.failures += 1
        else:
            self.answers += answer.is_success
            self.failures += answer.is_error
