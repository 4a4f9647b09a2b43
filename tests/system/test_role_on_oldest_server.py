"""deploy/postgres/role.sql on the oldest PostgreSQL: no reserve, and grants without options."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs
from support.exporter.exporter_process import run_to_the_end
from support.postgres.role_script import run_role_script, what_was_made
from support.postgres.server import run_sql
from support.postgres.system_postgres import OLDEST, oldest_postgres
from support.postgres.watching import Watch, a_target

PROGRAMS = Programs(Path(f"/usr/lib/postgresql/{OLDEST}/bin"))


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with oldest_postgres() as server:
        yield server


async def test_it_is_enough_to_link_and_a_second_run_changes_nothing(
    server: EmbeddedPostgres,
) -> None:
    made = []
    for _ in range(2):
        ran = run_role_script(server, programs=PROGRAMS)
        assert ran.returncode == 0, ran.stderr
        assert "needs PostgreSQL 16" in ran.stdout
        made.append(what_was_made(server))
    dsn = server.dsn_for("poolscope")
    ended = run_to_the_end("check", "--dsn", dsn)
    with psycopg.connect(server.dsn) as held:
        held.execute("SELECT 1")
        async with Watch(a_target(dsn), held, server.port) as watch:
            shown = await watch.until(lambda each: each.verdict == "idle_in_transaction")

    assert made[0] == made[1]
    assert ended.returncode == 0, ended.stdout
    assert "role        poolscope, privilege full" in ended.stdout
    assert shown.link == "address"


def test_an_administrator_without_superuser_may_run_it(server: EmbeddedPostgres) -> None:
    run_sql(server.dsn, "CREATE ROLE administrator LOGIN CREATEROLE")
    ran = run_role_script(
        server, server.dsn_for("administrator"), programs=PROGRAMS, role="watcher"
    )

    assert ran.returncode == 0, ran.stderr
    assert run_to_the_end("check", "--dsn", server.dsn_for("watcher")).returncode == 0
