"""All attacks at once beside twenty honest processes: nobody honest loses anything.

`make test-long` attacks for ten minutes (`ATTACK_S`). It prints the times of pushes beside those to
an exporter that nobody attacks, on the same machine at the same time.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter import attack, honest
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess
from support.processes.child_processes import wait_until

ATTACK_S = float(os.environ.get("ATTACK_S", "6"))
MAX_RSS_MIB = 400
MAX_LOG_BYTES = 1024 * 1024
TOKENS = "h0nest honest services=honest\nh0stile hostile\nr3ad reader use=read\n"
TESTS = Path(honest.__file__).parents[2]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(TOKENS)
    return file


def an_exporter(tokens: Path, server: EmbeddedPostgres) -> ExporterProcess:
    """Return an exporter with TLS on both listeners, and room that one sender can use up."""
    return ExporterProcess(
        f"--token-file={tokens}",
        *(f"--{name}-cert={LOOPBACK_CERT}" for name in ("tls", "otlp-tls")),
        *(f"--{name}-key={LOOPBACK_KEY}" for name in ("tls", "otlp-tls")),
        "--max-instances=100",
        "--max-held-checkouts=5000",
        "--max-series=5000",
        POOLSCOPE_DSN=server.dsn,
    )


@contextmanager
def a_program(module: object, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of `support` until the block ends; it ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-m", module.__name__, *arguments],  # type: ignore[attr-defined]
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def report_of(process: subprocess.Popen[str]) -> dict[str, list[float]]:
    out, _ = process.communicate("")
    return dict(json.loads(out))


def p99_s(took_s: list[float]) -> float:
    return statistics.quantiles(took_s, n=100)[-1]


def peak_mib(exporter: ExporterProcess) -> float:
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    [kib] = re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(kib) / 1024


def honest_leaks(exporter: ExporterProcess) -> int:
    path = "/api/v1/checkouts?service=honest&verdict=leaked&limit=500"
    answer = exporter.get(path, Authorization="Bearer r3ad")
    return len(answer.json()["checkouts"])


def test_mixed_attack_costs_no_honest_sender_anything(
    tokens: Path, postgres: EmbeddedPostgres
) -> None:
    ca = str(LOOPBACK_CERT)
    expected = honest.PROCESSES * honest.LEAKS
    health_s: list[float] = []
    with (
        an_exporter(tokens, postgres) as attacked,
        an_exporter(tokens, postgres) as quiet,
        a_program(honest, attacked.otlp, "h0nest", ca) as senders,
        a_program(honest, quiet.otlp, "h0nest", ca) as others,
    ):
        assert wait_until(lambda: honest_leaks(attacked) == expected)
        with a_program(attack, attacked.web, attacked.otlp, "h0stile", ca):
            until_s = time.monotonic() + ATTACK_S
            while time.monotonic() < until_s:
                began_s = time.monotonic()
                assert attacked.get("/healthz").status_code == 200
                health_s.append(time.monotonic() - began_s)
                time.sleep(0.5)
            assert honest_leaks(attacked) == expected
        assert honest_leaks(attacked) == expected
        during, beside = report_of(senders), report_of(others)
        assert not during["failed"], during["failed"][:5]
        assert len(during["took_s"]) >= honest.PROCESSES
        assert peak_mib(attacked) <= MAX_RSS_MIB
        assert len(attacked.log) <= MAX_LOG_BYTES
        ratio = p99_s(during["took_s"]) / p99_s(beside["took_s"])
        print(  # noqa: T201 - the figures that make test-long is for
            f"{len(during['took_s'])} pushes, p99 {p99_s(during['took_s']):.3f} s,"
            f" {ratio:.1f} times that of {len(beside['took_s'])} pushes to a quiet exporter;"
            f" /healthz at most {max(health_s):.2f} s; peak {peak_mib(attacked):.0f} MiB;"
            f" log {len(attacked.log)} bytes"
        )
