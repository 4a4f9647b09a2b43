"""A pool that is kept full gets the right diagnosis within seconds, and never a wrong one."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.holds import DIRECTLY, IN_CI_S, SHORT_S, check_holds, play_holds
from scenarios.timed.records import TimedRuns

MANY = {"max_connections": "300"}


def test_whatever_keeps_a_pool_full_is_named(tmp_path: Path, timed_runs: TimedRuns) -> None:
    holds = [
        each for each in DIRECTLY if timed_runs.is_whole or each.held_s in {*IN_CI_S, *SHORT_S}
    ]
    with EmbeddedPostgres(port=held_port(), settings=MANY) as server:
        outcomes = play_holds(server, tmp_path, holds, timed_runs.patience)
    timed_runs.add_holds(outcomes)
    check_holds(outcomes)
