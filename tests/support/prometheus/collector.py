"""A real OpenTelemetry Collector for tests, with a configuration of deploy/collector."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_ports
from support.processes.child_processes import wait_until

ROOT = Path(__file__).parents[3]
CONFIGURATIONS = ROOT / "deploy" / "collector"
BUILT = ROOT / ".venv" / "collector" / "otelcol-poolscope"


def find_collector() -> str | None:
    """Return the program that POOLSCOPE_COLLECTOR names, `make collector` made, or PATH has."""
    built = str(BUILT) if BUILT.exists() else None
    named = os.environ.get("POOLSCOPE_COLLECTOR")
    return named or built or shutil.which("otelcol-poolscope") or shutil.which("otelcol-contrib")


PROGRAM = find_collector()
needs_collector = pytest.mark.skipif(
    PROGRAM is None,
    reason="no OpenTelemetry Collector: make collector builds one, POOLSCOPE_COLLECTOR names one",
)


class Collector:
    """One Collector; what it does not use of its addresses, nobody listens on."""

    def __init__(self) -> None:
        ports = held_ports(3)
        self.otlp, self.grpc, self.metrics = (f"{HOST}:{port}" for port in ports)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTLP_ADDRESS": self.otlp,
            "OTLP_GRPC_ADDRESS": self.grpc,
            "METRICS_ADDRESS": self.metrics,
            "TELEMETRY_LEVEL": "none",
        }

    def is_ready(self) -> bool:
        """Tell whether it receives."""
        try:
            httpx.post(f"http://{self.otlp}/v1/metrics", trust_env=False)
        except httpx.TransportError:
            return False
        return True


@contextmanager
def a_collector(configuration: str, folder: Path, **environment: str) -> Iterator[Collector]:
    """Run one with a file of deploy/collector; `environment` are the variables that it reads."""
    collector = Collector()
    log = folder / f"{configuration}.{collector.otlp.rpartition(':')[2]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAM), "--config", str(CONFIGURATIONS / configuration)],
            env={**os.environ, **collector.environment, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        assert wait_until(lambda: process.poll() is not None or collector.is_ready())
        assert process.poll() is None, log.read_text()
        yield collector
    finally:
        process.terminate()
        process.wait(30)
