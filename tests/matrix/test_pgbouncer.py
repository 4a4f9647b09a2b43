"""One version of PgBouncer: TLS, passwords and pool modes, with a whole exporter attached.

`make test-matrix` names its program by the variable PGBOUNCER.
"""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import STATS_USER, PgBouncer
from support.exporter.bouncer_watch import bouncers, holding, real_pid, watching
from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY
from support.pgbouncer import require_pgbouncer
from support.postgres.server import run_sql

PASSWORD = "secret"  # of servers that live for one test
TLS = {"sslmode": "verify-full", "sslrootcert": str(LOOPBACK_CERT)}


@pytest.fixture
def folder(open_folder: Path) -> Path:
    """Return a folder with what the bouncer reads: a certificate, its key, users with passwords."""
    require_pgbouncer()
    for file in (LOOPBACK_CERT, LOOPBACK_KEY):
        (open_folder / file.name).write_bytes(file.read_bytes())
    (open_folder / "users.txt").write_text(
        f'"postgres" "{PASSWORD}"\n"{STATS_USER}" "{PASSWORD}"\n'
    )
    Account.for_postgres().give_ownership(open_folder)
    return open_folder


def tls_settings(folder: Path) -> dict[str, Any]:
    return {
        "client_tls_sslmode": "require",
        "client_tls_cert_file": folder / LOOPBACK_CERT.name,
        "client_tls_key_file": folder / LOOPBACK_KEY.name,
    }


def assert_linked(
    postgres: EmbeddedPostgres, bouncer: PgBouncer, role: str = "postgres", **keywords: str
) -> None:
    """Assert that a held transaction is linked, with these keywords for app and console."""
    console = make_conninfo(bouncer.console, **keywords)
    app_dsn = make_conninfo(bouncer.dsn, user=role, **keywords)
    with (
        watching(postgres, "--pgbouncer", console) as exporter,
        psycopg.connect(app_dsn) as app,
    ):
        pid = real_pid(app)
        until = holding(exporter, app, bouncer.port)
        found = until(lambda checkout: checkout["link"] == "pgbouncer")
        (row,) = bouncers(exporter)

    assert found["backend_pid"] == pid
    assert row["version"] is not None


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_held_transaction_is_linked(postgres: EmbeddedPostgres, folder: Path, mode: str) -> None:
    with PgBouncer(postgres, pool_mode=mode) as bouncer:
        assert_linked(postgres, bouncer)


def test_app_and_console_verify_the_certificate(postgres: EmbeddedPostgres, folder: Path) -> None:
    with PgBouncer(postgres, **tls_settings(folder)) as bouncer:
        assert_linked(postgres, bouncer, **TLS)


@pytest.mark.parametrize("kind", ["scram-sha-256", "md5"])
def test_app_and_console_log_in_with_a_password(
    postgres: EmbeddedPostgres, folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # for the connection that waits until it has started
    users = str(folder / "users.txt")
    with PgBouncer(postgres, auth_type=kind, auth_file=users) as bouncer:
        monkeypatch.delenv("PGPASSWORD")
        assert_linked(postgres, bouncer, password=PASSWORD)


def test_the_password_of_an_app_comes_from_a_query(
    postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sql(postgres.dsn, "DROP ROLE IF EXISTS by_query")
    run_sql(postgres.dsn, f"CREATE ROLE by_query LOGIN PASSWORD '{PASSWORD}'")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    asked: dict[str, Any] = {"auth_user": "postgres", "auth_file": folder / "users.txt"}
    with PgBouncer(postgres, auth_type="scram-sha-256", **asked) as bouncer:
        monkeypatch.delenv("PGPASSWORD")
        assert_linked(postgres, bouncer, "by_query", password=PASSWORD)


def test_a_pool_mode_of_statements_is_unlinked_with_the_reason(
    postgres: EmbeddedPostgres, folder: Path
) -> None:
    """Between two statements, no session belongs to the client: nothing is claimed."""
    with (
        PgBouncer(postgres, pool_mode="statement") as bouncer,
        watching(postgres, "--pgbouncer", bouncer.console) as exporter,
        psycopg.connect(bouncer.dsn, autocommit=True) as app,
    ):
        app.execute("SELECT 1")
        until = holding(exporter, app, bouncer.port)
        found = until(lambda checkout: checkout["reason"] not in {None, "not_sampled"})

    assert (found["link"], found["reason"]) == ("unlinked:idle_in_pooler", "idle_in_pooler")
    assert found["backend_pid"] is None
