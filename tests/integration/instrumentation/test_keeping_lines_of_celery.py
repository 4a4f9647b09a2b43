"""Looks name the line of a Celery task that keeps a connection, in every pool of its workers."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.applications.holding import KEEPS
from support.applications.observing import ENOUGH, Seen, a_slow_server, share_within
from support.exporter.exporter_process import clean_environment
from support.frameworks.environment import TESTS, python_path
from support.processes.child_processes import GIVE_UP_S, wait_until

START_S = 3 * GIVE_UP_S
"""An interpreter starts, with a framework in it."""

SOURCE = TESTS / "support" / "frameworks" / "keeping_celery.py"
# This process has no Celery, so it cannot import the application.
[LINE] = [n for n, line in enumerate(SOURCE.read_text().splitlines(), 1) if KEEPS in line]
PLACE = Seen(SOURCE.name, LINE, "requests.get")
RIGHT = range(LINE, LINE + 1)

POOLS = ("prefork", "threads", "solo")


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_calls_another_service(pool: str, tmp_path: Path) -> None:
    asked, written, log = tmp_path / "asked", tmp_path / "seen.json", tmp_path / "log"
    with a_slow_server() as server:
        environment = clean_environment(
            KEEPING_ADDRESS=server.address,
            KEEPING_ASKED=str(asked),
            KEEPING_SEEN=str(written),
            PYTHONPATH=python_path(),
        )
        application = "--app=support.frameworks.keeping_celery"
        options = ["worker", f"--pool={pool}", "--concurrency=1", "--loglevel=INFO"]
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", application, *options],
                cwd=tmp_path, env=environment, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            assert server.asked.wait(START_S), log.read_text()
            asked.touch()
            assert wait_until(written.exists, START_S), log.read_text()
        finally:
            worker.terminate()  # it waits for the task, which ends with the server
    assert worker.wait(START_S) == 0, log.read_text()
    found = json.loads(written.read_text())
    assert (found["units"], found["hook_errors"]) == (["shop.import_orders"], 0)
    assert (found["pid"] != worker.pid) is (pool == "prefork")
    seen = Counter({Seen(*place): count for place, count in found["seen"]})
    assert share_within(seen, PLACE, RIGHT) >= ENOUGH
