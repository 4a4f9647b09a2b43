"""Runbooks are followed in the incident that they are about: their commands show that incident."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.followed import FOLLOWED, Followed, Incidents, followed_part, played_incidents
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until
from support.runbooks.commands import runbooks
from support.runbooks.filters import PROCESS_LABEL
from support.runbooks.running import ask_the_api, in_a_shell, rows_of

RUNBOOKS = runbooks()
SEEN_WITHIN_S = 30.0
"""Some of what an incident shows comes and goes."""

NO_ROWS = "pg_database"
"""No database of the incidents has a limit; the one that is full is that of a role."""

NEEDS_PRELOADING = "pg_stat_statements"
"""The embedded server loads no library at its start, and this one works only then."""


def test_each_runbook_shows_its_incident_and_every_command_is_answered(tmp_path: Path) -> None:
    """One test: the incidents take half a minute to begin, and a process for each of their apps."""
    with EmbeddedPostgres(port=held_port()) as server, played_incidents(server, tmp_path) as played:
        problems = [
            f"{followed}: {problem}"
            for followed in FOLLOWED
            for problem in not_shown(followed, played, tmp_path)
        ]
        assert problems == []
        each_request_is_answered(played, tmp_path)
        each_statement_runs(server)


def not_shown(followed: Followed, played: Incidents, folder: Path) -> Iterator[str]:
    """Yield the commands of a runbook that do not show its incident, or show another one."""
    labels = played.labels_of(followed.pool)
    for request in followed_part(followed).requests:
        ask = partial(ask_the_api, request, labels, played.exporter.web, folder)
        if not wait_until(lambda ask=ask: bool(rows_of(ask())), SEEN_WITHIN_S):  # type: ignore[misc]
            yield f"no row: {request}"
        if strangers := of_others(request, rows_of(ask()), followed.pool, labels):
            yield f"{strangers}: {request}"
    for statement in followed_part(followed).statements:
        if bool(run_sql(played.server.dsn, statement)) is (NO_ROWS in statement):
            yield f"a row, or none: {statement}"


def of_others(
    request: str, rows: list[dict[str, str]], pool: str, labels: Mapping[str, str]
) -> set[str]:
    """Return the pools and processes in an answer that the request does not ask for."""
    pools = {row["pool"] for row in rows} - {pool} if "pool=" in request else set()
    processes = {row[PROCESS_LABEL] for row in rows} - {labels[PROCESS_LABEL]}
    return pools | (processes if "instance=" in request else set())


def each_request_is_answered(played: Incidents, folder: Path) -> None:
    """Also where no incident is played: for any pool, the answer is about that pool alone."""
    pool = FOLLOWED[0].pool
    labels = played.labels_of(pool)
    for request in dict.fromkeys(each for book in RUNBOOKS for each in book.requests):
        if "/api/" not in request:
            assert in_a_shell(request, labels, played.exporter.web, folder) == "ok\n"
            continue
        rows = rows_of(ask_the_api(request, labels, played.exporter.web, folder))
        assert of_others(request, rows, pool, labels) == set(), request


def each_statement_runs(server: EmbeddedPostgres) -> None:
    for statement in dict.fromkeys(each for book in RUNBOOKS for each in book.statements):
        if NEEDS_PRELOADING not in statement:
            run_sql(server.dsn, statement)
