"""The traffic of a soak on an app in Python's development mode, with asyncio's debug mode."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.soak import DIRECT, answers, send_traffic
from scenarios.timed.stage import a_program
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until

LENGTH_S = float(os.environ.get("SOAK_DEV_S", "30"))
"""How long to play: `make soak-dev` sets 10 minutes."""

COMMAND = ("-X", "dev", "-m", "uvicorn", "--loop=asyncio", "scenarios.timed.soak_dev_app:app")
PATIENCE_S = 600.0
"""For the last answer: it searches all objects several times, perhaps on a busy machine."""


def play_dev_soak(
    server: EmbeddedPostgres, exporter: ExporterProcess, folder: Path
) -> dict[str, Any]:
    """Send the traffic; return what the app reports afterwards, with the answers that it gave."""
    port, log = held_port(), folder / "soak_dev.log"
    url = f"http://{HOST}:{port}"
    command = [*COMMAND, f"--host={HOST}", f"--port={port}"]
    with a_program(command, {DIRECT: server.dsn}, exporter.otlp, log) as process:
        assert wait_until(lambda: process.poll() is not None or answers(url)), log.read_text()
        clients = asyncio.run(send_traffic(url, LENGTH_S))
        found: dict[str, Any] = httpx.get(
            f"{url}/looks", trust_env=False, timeout=PATIENCE_S
        ).json()
    answer = exporter.get("/api/v1/profile?window=900")
    assert answer.is_success, exporter.log
    seconds = answer.json()["connection_seconds"]
    return found | {"answers": dict(clients.answers), "profiled_s": seconds}
