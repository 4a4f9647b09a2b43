"""What keeps a pool full behind a real PgBouncer is named, as is what fails there."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.bouncer_cases import play_statements
from scenarios.timed.cases import check_cases
from scenarios.timed.holds import IN_CI_S, THROUGH_A_BOUNCER, check_holds, play_holds
from scenarios.timed.records import TimedRuns
from support.pgbouncer import require_pgbouncer


def test_a_bouncer_whose_pool_is_too_small_is_named(tmp_path: Path, timed_runs: TimedRuns) -> None:
    require_pgbouncer()
    holds = [each for each in THROUGH_A_BOUNCER if timed_runs.is_whole or each.held_s in IN_CI_S]
    with EmbeddedPostgres(port=held_port()) as server:
        outcomes = play_holds(server, tmp_path, holds, timed_runs.patience)
    timed_runs.add_holds(outcomes)
    check_holds(outcomes)


def test_statements_that_a_bouncer_does_not_track_are_named(
    tmp_path: Path, timed_runs: TimedRuns
) -> None:
    require_pgbouncer()
    with EmbeddedPostgres(port=held_port()) as server:
        outcome = play_statements(server, tmp_path)
    timed_runs.add_cases([outcome])
    check_cases([outcome], timed_runs.patience)
