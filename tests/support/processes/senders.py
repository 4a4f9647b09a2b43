"""Programs in other languages that push the metrics of a full pool: `make senders` builds them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from support.exporter.exporter_process import clean_environment

SOURCES: Final = Path(__file__).parents[2] / "system" / "senders"
BUILT: Final = Path(os.environ.get("SENDERS") or Path(__file__).parents[3] / ".venv" / "senders")
"""The folder that `make senders` fills, or that the variable names."""

QUIET_JAVA: Final = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


def require_senders() -> None:
    """Skip where they are not built, but never in CI."""
    if "CI" not in os.environ and not (BUILT / "java" / "Sender.class").exists():
        pytest.skip("the senders are not built: make senders (needs Go, npm, Maven and a JDK)")


def python_command() -> list[str]:
    return [sys.executable, str(SOURCES / "python" / "app.py")]


def node_command() -> list[str]:
    return [shutil.which("node") or "node", str(BUILT / "node" / "app.cjs")]


def go_command(library: str) -> list[str]:
    return [str(BUILT / "go" / "sender"), library]


def java_command(agent: str | None = None) -> list[str]:
    folder = BUILT / "java"
    jar = folder / "agents" / f"opentelemetry-javaagent-{agent}.jar"
    options = [f"-javaagent:{jar}"] if agent else []
    return [*QUIET_JAVA, *options, "-cp", f"{folder}:{folder}/jars/*", "Sender"]


@contextmanager
def a_sender(
    command: Sequence[str], otlp: str, service: str, environment: Mapping[str, str]
) -> Iterator[Path]:
    """Run a sender that pushes to `otlp` every second; yield the file with its output."""
    variables = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_METRIC_EXPORT_TIMEOUT": "900",
        **environment,
    }
    with tempfile.TemporaryDirectory(prefix="poolscope-sender-") as folder:
        output = Path(folder) / "output"
        with output.open("wb") as out:
            process = subprocess.Popen(
                command, env=clean_environment(**variables), stdout=out, stderr=subprocess.STDOUT
            )
        try:
            yield output
        finally:
            process.kill()
            process.wait()
