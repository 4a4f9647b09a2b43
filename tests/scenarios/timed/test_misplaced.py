"""Connections in the wrong place are named: in another process or loop, or with a lock left on."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.cases import check_cases
from scenarios.timed.misplaced_cases import play_misplaced
from scenarios.timed.records import TimedRuns


def test_connections_in_the_wrong_place_are_named(tmp_path: Path, timed_runs: TimedRuns) -> None:
    with EmbeddedPostgres(port=held_port()) as server:
        outcomes = play_misplaced(server, tmp_path, timed_runs.patience)
    timed_runs.add_cases(outcomes)
    check_cases(outcomes, timed_runs.patience)
