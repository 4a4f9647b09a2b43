"""The committed rule files, as Prometheus would load them."""

import subprocess
from pathlib import Path

import pytest

from support.prometheus.promtool import needs_promtool

ALERTS = Path(__file__).parents[2] / "alerts"


@needs_promtool
@pytest.mark.parametrize("name", ["poolscope.rules.yaml", "poolscope-absent.rules.yaml"])
def test_promtool_accepts_the_committed_rules(name: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", ALERTS / name], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
