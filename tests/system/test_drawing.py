"""A dashboard is drawn with Grafana's own components, in a real browser, from the recording."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from poolscope_generators.incident.frames import write_frames
from poolscope_generators.incident.prometheus import Prometheus
from poolscope_generators.incident.recording import Story

RENDER = Path(__file__).parents[2] / "generators" / "render"
NEEDED = ("node", "npm", "chromium")
MINUTES = 600
OLDEST_NODE = 20


@pytest.fixture(scope="module")
def renderer() -> Path:
    """Return the folder of the programs, with what they need installed."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: drawing is for developers, not for CI")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.lstrip("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"drawing needs Node {OLDEST_NODE}, and this is {version.stdout.strip()}")
    if not (RENDER / "node_modules" / "@grafana").exists():
        subprocess.run(["npm", "ci", "--no-progress"], cwd=RENDER, check=True, timeout=MINUTES)
    return RENDER


def test_the_overview_is_drawn_with_what_the_incident_was(
    renderer: Path, replayed: Prometheus, story: Story, tmp_path: Path
) -> None:
    write_frames(replayed, story, tmp_path)
    command = ["node", "draw.mjs", str(tmp_path), str(tmp_path), "poolscope-overview"]
    done = subprocess.run(
        command, cwd=renderer, capture_output=True, text=True, timeout=MINUTES, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    board = json.loads((tmp_path / "poolscope-overview.json").read_text())
    drawn = [each["spec"]["title"] for each in board["panels"][:8]]
    assert [title for title in drawn if title not in told["words"]] == []
    for words in ("leaking", "loop_blocked", "healthy", "shop", "not by a Grafana server"):
        assert words in told["words"]
    assert (tmp_path / "poolscope-overview.png").stat().st_size > 50_000
