"""Every verdict and link behind real PgBouncers, as an app, an exporter and a server show it."""

from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.pooled import play_pooled
from scenarios.runs import RecordedRuns
from support.pgbouncer import require_pgbouncer


def test_what_is_said_behind_a_pooler_is_what_is_so(
    tmp_path: Path, scenario_runs: RecordedRuns
) -> None:
    require_pgbouncer()
    with EmbeddedPostgres(major=18, port=held_port()) as server:
        where = "PgBouncer before PostgreSQL 18"
        scenario_runs.found.append(play_pooled(server, where, tmp_path))
