"""What is done to the server of an application: a lock, and a table that is slow to read."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from adoption.processes import ROLE
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.postgres.server import run_sql

SLOW_S = 1.5
MIGRATION = "nightly-migration"


@contextmanager
def locked(server: EmbeddedPostgres, table: str) -> Iterator[None]:
    """Hold an exclusive lock on a table, as a migration does."""
    with psycopg.connect(server.dsn, application_name=MIGRATION) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        connection.rollback()


@contextmanager
def made_slow(server: EmbeddedPostgres, table: str | None) -> Iterator[None]:
    """Replace a table by a view that takes a while to read; without a table, do nothing."""
    if table is None:
        yield
        return
    waiting = f"WITH waited AS MATERIALIZED (SELECT pg_sleep({SLOW_S}))"
    run_sql(server.dsn, f"ALTER TABLE {table} RENAME TO {table}_kept")
    run_sql(
        server.dsn,
        f"CREATE VIEW {table} AS {waiting} SELECT kept.* FROM waited, {table}_kept kept;"
        f"ALTER VIEW {table} OWNER TO {ROLE}",
    )
    try:
        yield
    finally:
        run_sql(server.dsn, f"DROP VIEW {table}; ALTER TABLE {table}_kept RENAME TO {table}")
