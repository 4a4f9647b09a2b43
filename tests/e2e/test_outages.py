"""A real app, a real exporter and a real server, each of which goes away and comes back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port, held_ports
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

PUSH_INTERVAL_S = "0.3"
HUNG_FOR_S = 3.0
"""Longer than the time-out of a push."""


class Shop:
    """The demo's sample app in a process of its own; counts the requests it answered."""

    def __init__(self, server: EmbeddedPostgres, otlp_port: int, port: int, log: Path) -> None:
        self.url = f"http://{HOST}:{port}"
        self.answered = 0
        self._log = log
        self._command = [
            sys.executable, "-m", "uvicorn", "poolscope_exporter.demo.sample_app:app",
            f"--host={HOST}", f"--port={port}", "--log-level=warning",
        ]  # fmt: skip
        self._environment = clean_environment(
            DEMO_DATABASE_URL=server.sqlalchemy_url,
            OTEL_SERVICE_NAME="shop",
            POOLSCOPE_ENDPOINT=f"http://{HOST}:{otlp_port}",
            POOLSCOPE_PUSH_INTERVAL_S=PUSH_INTERVAL_S,
        )

    def __enter__(self) -> "Shop":
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        self._client = httpx.Client(trust_env=False, timeout=10)
        assert wait_until(self._is_up), self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.kill()
        self.process.wait()

    def _is_up(self) -> bool:
        try:
            return self._client.get(f"{self.url}/openapi.json").is_success
        except httpx.HTTPError:
            return False

    def serve(self, times: int) -> None:
        """Ask for an order so many times; each takes exactly one connection."""
        for _ in range(times):
            assert self._client.get(f"{self.url}/orders/1").status_code == 200
            self.answered += 1

    def serve_during(self, seconds: float) -> None:
        """Ask for orders all that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.serve(1)

    @property
    def checkouts(self) -> int:
        """Return how many connections were taken: one per request, and one at start-up."""
        return self.answered + 1


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(port=held_port()) as server:
        run_sql(server.dsn, "CREATE SCHEMA poolscope_demo")
        yield server


def counted(exporter: ExporterProcess, name: str) -> float | None:
    """Return the one sample of that name at `/metrics`, None where it is absent."""
    values = [
        sample.value
        for family in text_string_to_metric_families(exporter.get("/metrics").text)
        for sample in family.samples
        if sample.name == name
    ]
    assert len(values) < 2, values
    return values[0] if values else None


def says(exporter: ExporterProcess, name: str, value: float) -> bool:
    return wait_until(lambda: counted(exporter, name) == value)


def test_the_app_serves_without_its_exporter_and_no_total_is_lost(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    otlp_port, shop_port = held_ports(2)
    arguments = (f"--otlp-listen={HOST}:{otlp_port}",)
    total = "poolscope_checkouts_total"
    with Shop(server, otlp_port, shop_port, tmp_path / "shop.log") as shop:
        shop.serve(5)  # before there ever was an exporter
        with ExporterProcess(*arguments) as exporter:
            shop.serve(5)
            assert says(exporter, total, shop.checkouts)
        shop.serve(20)  # while it is gone
        with ExporterProcess(*arguments) as exporter:
            assert says(exporter, total, shop.checkouts)
            os.kill(exporter.process.pid, signal.SIGSTOP)
            shop.serve_during(HUNG_FOR_S)
            os.kill(exporter.process.pid, signal.SIGCONT)
            assert says(exporter, total, shop.checkouts)
            assert says(exporter, "poolscope_hook_errors_total", 0)
            assert counted(exporter, "db_client_connection_timeouts_total") == 0


def test_the_last_push_of_an_app_that_ends_takes_its_gauges_away_and_keeps_its_totals(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    otlp_port, shop_port = held_ports(2)
    with ExitStack() as stack:
        exporter = stack.enter_context(ExporterProcess(f"--otlp-listen={HOST}:{otlp_port}"))
        shop = stack.enter_context(Shop(server, otlp_port, shop_port, tmp_path / "shop.log"))
        assert says(exporter, "db_client_connection_max", 10)
        shop.serve(3)
        shop.process.send_signal(signal.SIGTERM)
        shop.process.wait(60)
        assert wait_until(lambda: counted(exporter, "db_client_connection_max") is None)
        assert counted(exporter, "poolscope_checkouts_total") == shop.checkouts


def test_a_database_that_stops_is_told_and_found_again_with_its_checkouts(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    otlp_port, shop_port = held_ports(2)
    arguments = (f"--otlp-listen={HOST}:{otlp_port}", f"--dsn={server.dsn}", "--poll-interval=0.5")
    with ExitStack() as stack:
        exporter = stack.enter_context(ExporterProcess(*arguments))
        shop = stack.enter_context(Shop(server, otlp_port, shop_port, tmp_path / "shop.log"))
        shop.serve(3)
        assert says(exporter, "poolscope_server_up", 1)
        server.stop()
        assert says(exporter, "poolscope_server_up", 0)
        assert counted(exporter, "poolscope_server_headroom") is None  # unknown is not zero
        assert exporter.get("/healthz").status_code == exporter.get("/readyz").status_code == 200
        server.start()
        assert says(exporter, "poolscope_server_up", 1)
        shop.serve(3)
        httpx.get(f"{shop.url}/orders/1/export", trust_env=False)

        def is_linked() -> bool:
            held = exporter.checkouts()
            return [(c["verdict"], c["link"]) for c in held] == [("leaked", "address")]

        assert wait_until(is_linked), exporter.checkouts()
