"""The examples in deploy/ for Prometheus and the Collector are accepted by what they are for."""

import subprocess
from pathlib import Path

import pytest

from support.prometheus.collector import CONFIGURATIONS, PROGRAM, needs_collector
from support.prometheus.promtool import needs_promtool

PROMETHEUS = CONFIGURATIONS.parent / "prometheus"
OTLP_BLOCK = "otlp:\n"


def check(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def without_otlp(text: str) -> str:
    """Return the configuration without the block that no Prometheus before 2.54 knows."""
    before, block, after = text.partition(OTLP_BLOCK)
    assert block
    rest = after.splitlines(keepends=True)
    end = next(i for i, line in enumerate(rest) if line.strip() and not line.startswith((" ", "#")))
    return before + "".join(rest[end:])


@needs_promtool
@pytest.mark.parametrize("name", sorted(path.name for path in PROMETHEUS.glob("*.yml")))
def test_promtool_accepts_it_and_its_rules(name: str, tmp_path: Path) -> None:
    text = (PROMETHEUS / name).read_text(encoding="utf-8")
    if OTLP_BLOCK in text:
        text = without_otlp(text)
    copied = tmp_path / name
    copied.write_text(text.replace("../../alerts", str(PROMETHEUS.parents[1] / "alerts")))
    check("promtool", "check", "config", str(copied))


@needs_collector
@pytest.mark.parametrize("name", ["gateway", "backend-scraped", "backend-remote-write"])
def test_the_collector_accepts_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLSCOPE_BACKENDS", "[backend-0:4317, backend-1:4317]")
    monkeypatch.setenv("REMOTE_WRITE_URL", "http://127.0.0.1:9090/api/v1/write")
    check(str(PROGRAM), "validate", "--config", str(CONFIGURATIONS / f"{name}.yaml"))
