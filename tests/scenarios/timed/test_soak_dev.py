"""Looks leave no error and keep no frame alive; `make soak-dev` plays 10 minutes of it."""

import sys
from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.soak import a_soak_exporter
from scenarios.timed.soak_dev import LENGTH_S, play_dev_soak


def test_looks_in_development_mode_make_no_error_and_keep_no_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        EmbeddedPostgres(port=held_port(), settings={"max_connections": "200"}) as server,
        a_soak_exporter(server, tmp_path) as exporter,
    ):
        found = play_dev_soak(server, exporter, tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\n{LENGTH_S:.0f} s: {found}\n")
    assert found["dev_mode"]
    assert found["debug"]
    assert found["answers"]["200"] > 0  # on a busy machine, this mode may be too slow for a pool
    assert found["looked_at"] > 0
    assert found["profiled_s"] > 0
    assert (found["hook_errors"], found["last_hook_error"]) == (0, None)
    assert found["kept"] == []
    assert found["live"] == []
