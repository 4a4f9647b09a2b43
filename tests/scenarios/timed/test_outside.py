"""Causes outside of the pool are named: threads, an event loop, callers that wait in a circle."""

from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.cases import check_cases
from scenarios.timed.outside_cases import play_outside
from scenarios.timed.records import TimedRuns
from scenarios.timed.saturated_cases import play_saturated


def test_causes_outside_of_the_pool_are_named(tmp_path: Path, timed_runs: TimedRuns) -> None:
    with EmbeddedPostgres(port=held_port(), settings={"max_connections": "200"}) as server:
        outcomes = play_outside(server, tmp_path, timed_runs.patience)
    timed_runs.add_cases(outcomes)
    check_cases(outcomes, timed_runs.patience)


def test_a_saturated_database_is_named_and_the_pool_is_not_called_too_small(
    tmp_path: Path, timed_runs: TimedRuns
) -> None:
    with EmbeddedPostgres(port=held_port()) as server:
        outcome = play_saturated(server, tmp_path, timed_runs.patience)
    timed_runs.add_cases([outcome])
    check_cases([outcome], timed_runs.patience)
    assert Diagnosis.UNDERSIZED not in outcome.before
