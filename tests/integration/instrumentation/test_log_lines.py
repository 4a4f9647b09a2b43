"""An application without logging settings has nothing of poolscope on stderr but its warnings."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

PROGRAM: Final = """
import poolscope
from sqlalchemy.exc import TimeoutError
from support.applications.apps import NOWHERE
from support.applications.dbapi import an_engine

handle = poolscope.instrument(endpoint=NOWHERE, push_interval_s=300)
engines = [an_engine(pool_size=1, max_overflow=0) for _ in range(2)]
held = [engine.connect() for engine in engines]
handle.flush()
if {full}:
    for _ in range(3):
        try:
            engines[0].connect()
        except TimeoutError:
            pass
        handle.flush()
for connection in held:
    connection.close()
"""


def stderr_of(*, full: bool) -> list[str]:
    """Return the lines on stderr of an application with two pools of one name, and no exporter."""
    paths = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(full=full)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_an_exporter_that_is_away_and_pools_with_one_name_are_not_on_stderr() -> None:
    assert stderr_of(full=False) == []


def test_a_warning_begins_with_its_sender_ends_with_its_cure_and_comes_once() -> None:
    first, *holders, cure = stderr_of(full=True)
    assert first.startswith("poolscope: pool ")
    assert len(holders) == 1
    assert cure.startswith("  Shorten the uses")
