"""The demo as one command, from built wheels: what a reader runs who has nothing but uv."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))


def test_uvx_runs_the_demo_from_the_wheels_alone(tmp_path: Path) -> None:
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for source in ("instrumentation", "exporter"):
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        subprocess.run([*build, tmp_path, ROOT / source], check=True, env=variables)
    [ours] = tmp_path.glob("poolscope-*.whl")
    [exporter] = tmp_path.glob("poolscope_exporter-*.whl")
    uvx = [UV, "tool", "run", "--isolated", "--python", sys.executable]
    wheels = ["--with", str(ours), "--from", f"poolscope-exporter[demo] @ {exporter.as_uri()}"]
    done = subprocess.run(
        [*uvx, *wheels, "poolscope-exporter", "demo", "--for", "20", "--json"],
        capture_output=True, text=True, cwd="/", env=variables, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    verdicts = {json.loads(line)["verdict"] for line in done.stdout.splitlines()}
    assert {"leaked", "slow_query"} <= verdicts
