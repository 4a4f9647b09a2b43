"""The shop of `order_app` in a process of its own, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import clean_environment
from support.processes.child_processes import wait_until

TESTS = Path(__file__).parents[2]
PUSH_INTERVAL_S = 0.5
STEP_S = 30


class Shop:
    """The app, in a process of its own."""

    def __init__(self, server: EmbeddedPostgres, otlp: str, log: Path, *, is_mended: bool) -> None:
        port = held_port()
        self.url = f"http://{HOST}:{port}"
        self._log = log
        self._command = [
            sys.executable, "-m", "uvicorn", "support.applications.order_app:app",
            f"--host={HOST}", f"--port={port}", "--log-level=warning",
        ]  # fmt: skip
        self._environment = clean_environment(
            PYTHONPATH=os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")])),
            SHOP_DATABASE_URL=server.dsn.replace("postgresql://", "postgresql+psycopg://", 1),
            SHOP_IS_MENDED="yes" if is_mended else "no",
            OTEL_SERVICE_NAME="shop",
            POOLSCOPE_ENDPOINT=otlp,
            POOLSCOPE_PUSH_INTERVAL_S=str(PUSH_INTERVAL_S),
        )

    def __enter__(self) -> "Shop":
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        try:
            assert wait_until(self._is_up), self._log.read_text()
        except BaseException:
            self.process.kill()  # whoever is not entered is not left
            self.process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(STEP_S)

    def export(self, orders: int) -> None:
        for order in range(orders):
            assert httpx.get(f"{self.url}/orders/{order}/export", trust_env=False).is_success

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/orders/1", trust_env=False).is_success
        except httpx.TransportError:
            return False
