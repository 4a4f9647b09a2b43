"""The demo's processes: their errors are told, and none outlives the demo."""

import json
import time
from pathlib import Path

import pytest

from poolscope_exporter.demo import processes
from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.processes import ChildProcess, watch
from support.processes.child_processes import processes_that_mention

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(600)
"""


def a_program(folder: Path, source: str, **environment: str) -> ChildProcess:
    """Return a process that runs `source` in `folder`, where it finds itself as a module."""
    (folder / "program.py").write_text(source)
    return ChildProcess("program", ["program"], folder, environment)


async def test_a_process_that_dies_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with (
        a_program(tmp_path, "raise SystemExit('no such luck')") as process,
        pytest.raises(DemoError, match=r"(?s)program ended .* exit code 1.*no such luck"),
    ):
        await watch([process.raise_if_exited])


async def test_a_process_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    with (
        a_program(tmp_path, "import sys; sys.exit(3)") as process,
        pytest.raises(DemoError, match="exit code 3"),
    ):
        await process.wait_until_ready("http://127.0.0.1:1/")


async def test_a_process_that_never_answers_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY_TIMEOUT_S", 0.2)
    with (
        a_program(tmp_path, "import time; time.sleep(600)") as process,
        pytest.raises(DemoError, match=r"did not answer on http://127.0.0.1:1/ within"),
    ):
        await process.wait_until_ready("http://127.0.0.1:1/")


def test_a_process_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_S", 0.2)
    with a_program(tmp_path, STUBBORN, PROGRAM_FOLDER=str(tmp_path)):
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        assert processes_that_mention(str(tmp_path))
    assert processes_that_mention(str(tmp_path)) == {}


def test_settings_of_the_users_own_programs_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POOLSCOPE_TOKEN", "OTEL_RESOURCE_ATTRIBUTES", "UVICORN_RELOAD"):
        monkeypatch.setenv(name, "the user's")
    source = "import json, os; json.dump(dict(os.environ), open('seen', 'w'))"
    with a_program(tmp_path, source, POOLSCOPE_DSN="ours") as process:
        while process._process is not None and process._process.poll() is None:
            time.sleep(0.02)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["POOLSCOPE_DSN"] == "ours"
    assert "the user's" not in seen.values()
