"""The demo's database on a real server: least privilege, and nothing left on a user's own."""

import logging

import psycopg
import pytest

from poolscope_exporter.demo.database import SCHEMA, embedded_database, given_database
from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.postgres.server import make_role, run_sql

COUNT_SCHEMAS = f"SELECT count(*) FROM pg_namespace WHERE nspname = '{SCHEMA}'"


def libpq(app_url: str) -> str:
    return app_url.replace("postgresql+asyncpg://", "postgresql://", 1)


def test_on_the_embedded_server_each_role_may_do_only_its_own() -> None:
    with embedded_database() as database:
        database.check()
        run_sql(libpq(database.app_url), f"CREATE TABLE {SCHEMA}.orders (id int)")
        with psycopg.connect(libpq(database.app_url)):
            (seen,) = run_sql(
                database.exporter_dsn,
                "SELECT state FROM pg_stat_activity WHERE usename = 'shop' AND datname = 'shop'",
            )
        assert seen == ("idle",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run_sql(database.exporter_dsn, "CREATE DATABASE more")


def test_no_password_of_the_embedded_server_is_in_the_repr() -> None:
    with embedded_database() as database:
        for url in (database.app_url, database.exporter_dsn):
            password = url.split(":")[2].split("@")[0]
            assert len(password) > 20
            assert password not in repr(database)


def test_in_the_users_database_only_the_schema_is_made_and_it_is_dropped_again(
    every_postgres: EmbeddedPostgres,
) -> None:
    with given_database(every_postgres.sqlalchemy_url) as database:
        assert run_sql(every_postgres.dsn, COUNT_SCHEMAS) == [(1,)]
        run_sql(libpq(database.app_url), f"CREATE TABLE {SCHEMA}.orders (id int)")
    assert run_sql(every_postgres.dsn, COUNT_SCHEMAS) == [(0,)]


def test_a_session_that_still_uses_the_schema_does_not_keep_it(postgres: EmbeddedPostgres) -> None:
    with given_database(postgres.dsn) as database:
        run_sql(libpq(database.app_url), f"CREATE TABLE {SCHEMA}.orders (id int)")
        forgotten = psycopg.connect(libpq(database.app_url))
        forgotten.execute(f"SELECT * FROM {SCHEMA}.orders".encode())
    forgotten.close()
    assert run_sql(postgres.dsn, COUNT_SCHEMAS) == [(0,)]


def test_sessions_that_have_nothing_to_do_with_the_demo_live_on(
    postgres: EmbeddedPostgres,
) -> None:
    with psycopg.connect(postgres.dsn) as other:
        other.execute("SELECT * FROM pg_class")
        with given_database(postgres.dsn):
            pass
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_a_schema_that_is_there_already_is_left_alone(postgres: EmbeddedPostgres) -> None:
    run_sql(postgres.dsn, f"CREATE SCHEMA {SCHEMA}")
    try:
        with (
            pytest.raises(DemoError, match=f"DROP SCHEMA {SCHEMA} CASCADE"),
            given_database(postgres.dsn),
        ):
            pass
        assert run_sql(postgres.dsn, COUNT_SCHEMAS) == [(1,)]
    finally:
        run_sql(postgres.dsn, f"DROP SCHEMA {SCHEMA}")


def test_a_role_that_may_not_make_a_schema_is_told_so(postgres: EmbeddedPostgres) -> None:
    dsn = make_role(postgres, "d_no_schema", password="s3cret")
    with (
        pytest.raises(DemoError, match="permission denied for database") as caught,
        given_database(dsn),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_gone_at_the_end_is_a_warning_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.WARNING, "poolscope_exporter"),
        EmbeddedPostgres() as server,
        given_database(server.dsn_for("postgres", "s3cret")),
    ):
        server.stop()
    assert f"could not drop the schema {SCHEMA}" in caplog.text
    assert "s3cret" not in caplog.text
