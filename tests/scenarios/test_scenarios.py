"""Every verdict, link and diagnosis, as an app, exporters and a server show it."""

from pathlib import Path

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Major
from poolscope_generators.ports import held_port
from scenarios.direct import play_direct
from scenarios.runs import RecordedRuns


@pytest.mark.parametrize("major", [16, 18])
def test_what_is_said_is_what_is_so(
    major: Major, tmp_path: Path, scenario_runs: RecordedRuns
) -> None:
    with EmbeddedPostgres(major=major, port=held_port()) as server:
        scenario_runs.found.append(play_direct(server, f"PostgreSQL {major}", tmp_path))
