"""Event loops are watched in real processes: asyncio's, and uvloop's, which have no frames."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications import blocked_loop
from support.exporter.exporter_process import clean_environment
from support.exporter.receiver import Receiver, a_receiver, points
from support.processes.event_loops import EVENT_LOOPS, UVLOOP, python_path

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests"
WITHIN_S = 5.0
"""From the beginning of a block to the push that reports it: noticed, looked at and pushed, each
within a second. What is left over is for a busy machine."""

LINE = Path(blocked_loop.__file__).read_text().splitlines().index("    time.sleep(BLOCKED_S)") + 1


def run_blocked(event_loop: str, server: EmbeddedPostgres, receiver: Receiver) -> float:
    """Run the program to its end; return when it began to block its loop."""
    done = subprocess.run(
        [sys.executable, "-m", "support.applications.blocked_loop", event_loop, server.dsn,
         receiver.endpoint],
        env=clean_environment(PYTHONPATH=python_path(event_loop, TESTS)),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def first_report(receiver: Receiver) -> tuple[float, dict[str, Any], float]:
    """Return when a push first named a stall, the stall, and the lag in that push."""
    arrived = zip(receiver.arrived_at_s, receiver.arrived, strict=True)
    name = catalogue.EVENT_LOOP_STALL.name
    at_s, push = next((at_s, push) for at_s, push in arrived if points(push, name))
    [stall], [lag] = points(push, name), points(push, catalogue.EVENT_LOOP_LAG.name)
    return at_s, stall, lag["value"]


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
def test_a_blocked_loop_is_reported_with_its_line_within_five_seconds_and_an_idle_one_never(
    event_loop: str, postgres: EmbeddedPostgres
) -> None:
    with a_receiver() as receiver:
        # An exporter allows this where nobody else is in trouble.
        receiver.answer_headers[catalogue.INTERVAL_HEADER] = "1"
        began_s = run_blocked(event_loop, postgres, receiver)
    reported_at_s, stall, lag_s = first_report(receiver)
    assert 0 < reported_at_s - began_s < WITHIN_S
    assert stall[catalogue.CODE_FILE_PATH].endswith("blocked_loop.py")
    assert stall[catalogue.CODE_LINE_NUMBER] == LINE
    assert stall[catalogue.CODE_FUNCTION_NAME] == "render_report"
    assert 0.5 < stall["value"] <= lag_s < WITHIN_S
    assert receiver.arrived_at_s[0] < began_s, "nothing was pushed while the loop was idle"


@pytest.mark.skipif(UVLOOP not in EVENT_LOOPS, reason="there is no uvloop for Windows")
def test_what_unit_tests_show_of_event_loops_holds_on_uvloop() -> None:
    leaks = "recording/test_leaks.py::test_a_thread_that_runs_an_event_loop_is_no_idle_worker"
    tests = [f"tests/unit/instrumentation/{each}" for each in ("watching", leaks)]
    plugin = "support.processes.uvloop_everywhere"
    # From Python 3.14 on, policies are deprecated; nothing else replaces the loops of all tests.
    options = ["-q", "-p", plugin, "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        env={**os.environ, "PYTHONPATH": python_path(UVLOOP, TESTS)},
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
