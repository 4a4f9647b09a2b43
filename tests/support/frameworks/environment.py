"""Where the frameworks are, and how a process with them runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(os.getenv("POOLSCOPE_TEST_FRAMEWORKS") or Path(sys.prefix) / "frameworks")
"""Where make installs the frameworks; in the environment itself, they would change other tests."""

TESTS: Final = Path(__file__).parents[2]


def python_path(*folders: Path) -> str:
    """Return the PYTHONPATH of a process that uses a framework: ours, then the frameworks."""
    assert FOLDER.is_dir(), "run `make .venv/frameworks`"
    own = [*map(str, folders), str(TESTS), os.getenv("PYTHONPATH"), str(FOLDER)]
    return os.pathsep.join(filter(None, own))


def run_with_framework(name: str) -> str:
    """Return the last line that `support.frameworks.runs` prints for a framework."""
    done = subprocess.run(
        [sys.executable, "-m", "support.frameworks.runs", name],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]
