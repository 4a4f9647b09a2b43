"""The profile of the demo's shop agrees with the times that the shop itself records."""

import asyncio
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx
import pytest

from poolscope_exporter.demo import load
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.stage import TESTS, a_program
from support.applications.holding import KEEPS
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

LASTS_S: Final = 25.0
PAYMENT_S: Final = 0.5
REPORTS, PAYMENTS = 7, 5
"""Clients of each route: together, they keep the ten connections of the shop in use."""

POINTS: Final = 0.10
"""How far a share of the profile may be from the truth."""

RECORDING: Final = TESTS / "support" / "applications" / "recording_shop.py"


@pytest.fixture
def payment_provider() -> Iterator[str]:
    """Run a server that takes its time for each answer; return its address."""

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(PAYMENT_S)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer((HOST, 0), Slow) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def shop(tmp_path: Path, payment_provider: str) -> Iterator[tuple[ExporterProcess, str]]:
    """Run the demo's shop with its database; yield the exporter and the address of the shop."""
    port = held_port()
    url, log = f"http://{HOST}:{port}", tmp_path / "shop.log"
    command = ["uvicorn", "support.applications.recording_shop:app", "--log-level=warning"]
    with EmbeddedPostgres(port=held_port()) as server, ExporterProcess() as exporter:
        run_sql(server.dsn, "CREATE SCHEMA poolscope_demo")
        variables = {
            "DEMO_DATABASE_URL": server.dsn.replace("://", "+asyncpg://", 1),
            "PAYMENT_URL": payment_provider,
            "POOLSCOPE_PUSH_INTERVAL_S": "1",
        }
        options = [f"--host={HOST}", f"--port={port}"]
        with a_program(["-m", *command, *options], {}, exporter.otlp, log, **variables) as process:
            assert wait_until(lambda: process.poll() is not None or _is_up(url)), log.read_text()
            yield exporter, url


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/truth", trust_env=False).is_success
    except httpx.TransportError:
        return False


async def send_traffic(url: str) -> None:
    """Send the requests of the demo for a while, more at a time than there are connections."""
    orders = count()

    async def repeat(client: httpx.AsyncClient, method: str, path: str) -> None:
        until_s = time.monotonic() + LASTS_S
        while time.monotonic() < until_s:
            order = next(orders) % load.ORDERS + 1  # nobody waits for the lock of a row
            answer = await client.request(method, path.format(order))
            assert answer.is_success, answer.text

    async with (
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(repeat(client, "GET", "/orders/{}"))
        for _ in range(REPORTS):
            group.create_task(repeat(client, "GET", "/reports"))
        for _ in range(PAYMENTS):
            group.create_task(repeat(client, "POST", "/checkout?order_id={}"))


def line_of(file: Path, text: str) -> int:
    [number] = [n for n, line in enumerate(file.read_text().splitlines(), 1) if text in line]
    return number


def test_the_shares_of_the_database_and_of_httpx_are_those_that_the_shop_records(
    shop: tuple[ExporterProcess, str], capsys: pytest.CaptureFixture[str]
) -> None:
    exporter, url = shop
    asyncio.run(send_traffic(url))
    truth = httpx.get(f"{url}/truth", trust_env=False).json()
    found: dict[str, Any] = {}

    def has_arrived() -> bool:
        found.update(exporter.get("/api/v1/profile?window=900").json())
        return bool(found["connection_seconds"] > truth["held"] / 2)

    assert wait_until(has_arrived), (found, truth)
    rows, total_s = found["profile"], found["connection_seconds"]
    httpx_rows = [row for row in rows if row["doing"].startswith("httpx.")]
    httpx_share = sum(row["seconds"] for row in httpx_rows) / total_s
    true_database, true_httpx = (truth[each] / truth["held"] for each in ("database", "httpx"))
    with capsys.disabled():
        print(  # noqa: T201 - the numbers of this run
            f"\n{total_s:.0f} of {truth['held']:.0f} connection seconds;"
            f" database {found['database_share']:.1%}, true {true_database:.1%};"
            f" httpx {httpx_share:.1%}, true {true_httpx:.1%}"
        )
    assert true_database > 2 * POINTS
    assert true_httpx > 2 * POINTS
    assert found["database_share"] == pytest.approx(true_database, abs=POINTS)
    assert httpx_share == pytest.approx(true_httpx, abs=POINTS)
    [kept] = {row["now_at"] for row in httpx_rows if row["call"] == "httpx.AsyncClient.post"}
    assert kept.endswith(f"{RECORDING.name}:{line_of(RECORDING, KEEPS)}")
