"""No lock is ever taken in a hook: collections inside anybody's lock do not hang the process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.applications.gc_pressure import ENOUGH, HANGS_AFTER_S
from support.exporter.receiver import Mood, Receiver, a_receiver

TESTS = Path(__file__).parents[2]
DURATION_S = float(os.environ.get("GC_PRESSURE_S", "5"))
WITH_FAILING_EXPORTER_S = float(os.environ.get("GC_PRESSURE_S", "2"))
REFUSES = "http://127.0.0.1:1"


def run_under_pressure(endpoint: str, duration_s: float) -> dict[str, Any]:
    """Run the program; where it hangs or crashes, it ends with all its stacks."""
    path = os.pathsep.join([str(TESTS), *python_path()])
    done = subprocess.run(
        [sys.executable, "-m", "support.applications.gc_pressure", endpoint, str(duration_s)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1"},
        capture_output=True,
        text=True,
        timeout=duration_s + 2 * HANGS_AFTER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def python_path() -> list[str]:
    given = os.environ.get("PYTHONPATH")  # the folder of an older SQLAlchemy
    return [given] if given else []


def check(told: dict[str, Any]) -> None:
    assert told["taken"] == told["checkouts"] == told["checkins"] > ENOUGH
    assert told["looked"] > 0
    assert told["leaked"] == told["leaks"] > 0
    assert (told["hook_errors"], told["last_hook_error"]) == (0, None)


def test_a_process_that_leaks_under_collection_at_every_allocation_does_not_hang() -> None:
    with a_receiver() as receiver:
        check(run_under_pressure(receiver.endpoint, DURATION_S))
        assert receiver.arrived


def test_nor_does_it_where_the_exporter_refuses() -> None:
    check(run_under_pressure(REFUSES, WITH_FAILING_EXPORTER_S))


@pytest.mark.parametrize("mood", [Mood.FAILS, Mood.HANGS, Mood.DAWDLES, Mood.BABBLES])
def test_nor_does_it_where_the_exporter_misbehaves(mood: Mood) -> None:
    with a_receiver() as receiver:
        receiver.mood = mood
        check(run_under_pressure(receiver.endpoint, WITH_FAILING_EXPORTER_S))
        assert was_asked(receiver)


def was_asked(receiver: Receiver) -> bool:
    return receiver.asked.acquire(blocking=False)
