"""The tenant that fills the server has a name, also without poolscope in its program."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

TENANT, WATCHER = "groups_tenant", "groups_watcher"
SESSIONS = 7


@contextmanager
def a_tenant(postgres: EmbeddedPostgres) -> Iterator[None]:
    make_role(postgres, TENANT)
    make_role(postgres, WATCHER)
    with ExitStack() as stack:
        for _ in range(SESSIONS):
            dsn = postgres.dsn_for(TENANT)
            stack.enter_context(psycopg.connect(dsn, application_name="<night batch>"))
        yield


def watching(postgres: EmbeddedPostgres, *arguments: str, role: str = "") -> ExporterProcess:
    dsn = postgres.dsn_for(role) if role else postgres.dsn
    return ExporterProcess("--poll-interval=0.2", "--server-name=main", "--dsn", dsn, *arguments)


def groups_of(exporter: ExporterProcess) -> dict[str, Any]:
    assert wait_until(lambda: exporter.server()["session_groups"]), exporter.log
    return dict(exporter.server()["session_groups"])


def owners_of(exporter: ExporterProcess) -> dict[tuple[str, str], int]:
    assert wait_until(lambda: exporter.server()["sessions_by_owner"]), exporter.log
    found = exporter.server()["sessions_by_owner"]["owners"]
    return {(each["role"], each["database"]): each["sessions"] for each in found}


def test_page_api_and_metrics_name_who_has_the_sessions(postgres: EmbeddedPostgres) -> None:
    with a_tenant(postgres), watching(postgres) as exporter:
        groups, owners = groups_of(exporter), owners_of(exporter)
        page, metrics = exporter.get("/").text, exporter.get("/metrics").text

    assert {
        "role": TENANT,
        "database": "postgres",
        "application_name": "<night batch>",
        "client_address": "127.0.0.1",
        "sessions": SESSIONS,
    } in groups["groups"]
    assert groups["hidden"] == 0
    assert owners[TENANT, "postgres"] == SESSIONS
    assert f"<td>{TENANT}</td><td>postgres</td><td>&lt;night batch&gt;</td>" in page
    labels = f'database="postgres",role="{TENANT}",server="main"'
    assert f"poolscope_server_sessions{{{labels}}} {SESSIONS}.0" in metrics
    assert "night batch" not in metrics


def test_without_privileges_the_role_is_named_and_the_client_is_unknown(
    postgres: EmbeddedPostgres,
) -> None:
    with a_tenant(postgres), watching(postgres, role=WATCHER) as exporter:
        groups, owners = groups_of(exporter), owners_of(exporter)

    assert owners[TENANT, "postgres"] == SESSIONS
    [tenant] = [each for each in groups["groups"] if each["role"] == TENANT]
    assert (tenant["sessions"], tenant["client_address"]) == (SESSIONS, None)
    assert groups["hidden"] >= SESSIONS


def test_a_role_that_may_not_be_shown_is_only_counted(postgres: EmbeddedPostgres) -> None:
    with a_tenant(postgres), watching(postgres, f"--show-role={WATCHER}") as exporter:
        groups, owners = groups_of(exporter), owners_of(exporter)
        page, metrics = exporter.get("/").text, exporter.get("/metrics").text

    assert (groups["groups"], owners) == ([], {})
    assert groups["others"] >= SESSIONS
    assert TENANT not in page + metrics
    assert 'poolscope_server_sessions{database="other",role="other",server="main"}' in metrics


def test_a_sidecar_leaves_the_sessions_to_the_exporter_of_all_pods(
    postgres: EmbeddedPostgres,
) -> None:
    with a_tenant(postgres), watching(postgres, "--role=sidecar") as sidecar:
        assert wait_until(lambda: sidecar.server()["up"]), sidecar.log
        server, metrics = sidecar.server(), sidecar.get("/metrics").text

    assert (server["sessions_by_owner"], server["session_groups"]) == (None, None)
    assert "poolscope_server_sessions{" not in metrics
