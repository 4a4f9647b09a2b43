"""Connections that outlive their owner are named as leaked; those that change hands are not."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.cases import check_cases
from scenarios.timed.owners_cases import HEALTHY, ONE_SESSION, play_owners
from scenarios.timed.records import TimedRuns


def test_owners_that_are_gone_are_named_and_others_are_not(
    tmp_path: Path, timed_runs: TimedRuns
) -> None:
    with EmbeddedPostgres(port=held_port(), settings={"max_connections": "200"}) as server:
        outcome = play_owners(server, tmp_path, timed_runs.patience)
    timed_runs.add_cases(outcome.cases)
    check_cases(outcome.cases, timed_runs.patience)
    assert outcome.nested == set()
    assert outcome.leaked.isdisjoint({case.name for case in (*HEALTHY, ONE_SESSION)})
