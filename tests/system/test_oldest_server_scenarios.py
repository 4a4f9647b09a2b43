"""Every verdict, link and diagnosis on the oldest PostgreSQL that is supported."""

from pathlib import Path

from scenarios.direct import play_direct
from scenarios.runs import RecordedRuns
from support.postgres.server import run_sql
from support.postgres.system_postgres import OLDEST, oldest_postgres


def test_what_is_said_is_what_is_so_on_the_oldest_server(
    tmp_path: Path, scenario_runs: RecordedRuns
) -> None:
    with oldest_postgres() as server:
        ((version,),) = run_sql(server.dsn, "SHOW server_version_num")
        assert int(version) // 10_000 == OLDEST
        scenario_runs.found.append(play_direct(server, f"PostgreSQL {OLDEST}", tmp_path))
