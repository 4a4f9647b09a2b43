"""`poolscope` alone in a bare environment: an app never installs the exporter's dependencies."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOREIGN = ("fastapi", "asyncpg", "prometheus_client", "sqlalchemy", "psycopg", "poolscope_exporter")

SCRIPT = """
import importlib.util, json, sys
import poolscope
handle = poolscope.instrument(endpoint="http://127.0.0.1:1")
handle.flush()
handle.uninstrument()
foreign = sys.argv[1].split(",")
print(json.dumps({
    "file": poolscope.__file__,
    "installed": [name for name in foreign if importlib.util.find_spec(name)],
    "imported": [name for name in foreign if name in sys.modules],
}))
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, and install it with its locked dependencies into an empty environment."""
    folder = tmp_path_factory.mktemp("bare")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    run(*build, str(ROOT / "instrumentation"))
    [wheel] = folder.glob("poolscope-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*install, "--require-hashes", "-r", str(ROOT / "requirements" / "poolscope.txt"))
    run(*install, "--no-deps", str(wheel))
    return python


def run(*command: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd="/", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_of_the_exporter_or_of_any_driver_is_installed_or_imported(
    bare_python: Path,
) -> None:
    found = json.loads(run(str(bare_python), "-c", SCRIPT, ",".join(FOREIGN)))
    assert "site-packages" in found["file"]
    assert found["installed"] == []
    assert found["imported"] == []


def test_the_wheel_carries_its_types(bare_python: Path) -> None:
    located = run(str(bare_python), "-c", "import poolscope; print(poolscope.__file__)")
    assert Path(located.strip()).with_name("py.typed").exists()
