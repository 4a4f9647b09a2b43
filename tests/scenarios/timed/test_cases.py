"""Incidents that users reported are named by their cause, within seconds, and nothing else is."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.cases import check_cases, play_cases
from scenarios.timed.records import TimedRuns
from scenarios.timed.session_cases import SETTING, play_ended_sessions


def test_the_cause_of_what_users_reported_is_named(tmp_path: Path, timed_runs: TimedRuns) -> None:
    with (
        EmbeddedPostgres(port=held_port()) as server,
        EmbeddedPostgres(port=held_port()) as outage,
    ):
        outcomes = play_cases(server, outage, tmp_path, timed_runs.patience)
    timed_runs.add_cases(outcomes)
    check_cases(outcomes, timed_runs.patience)


def test_idle_transactions_that_the_server_ends_are_no_stale_sockets(
    tmp_path: Path, timed_runs: TimedRuns
) -> None:
    with EmbeddedPostgres(port=held_port()) as server:
        outcome = play_ended_sessions(server, tmp_path)
    timed_runs.add_cases([outcome])
    check_cases([outcome], timed_runs.patience)
    assert SETTING in outcome.sentence
