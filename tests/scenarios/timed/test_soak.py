"""Mixed healthy traffic is called healthy at every look; `make soak` plays 30 minutes of it."""

import sys
from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.soak import a_soak_exporter, check_soak, play_soak


def test_healthy_traffic_is_called_healthy_at_every_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        EmbeddedPostgres(port=held_port(), settings={"max_connections": "200"}) as server,
        a_soak_exporter(server, tmp_path) as exporter,
    ):
        outcome = play_soak(server, exporter, tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\n{outcome.summary}\n")
    check_soak(outcome)
