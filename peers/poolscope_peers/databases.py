"""An embedded PostgreSQL for one run of a suite."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres

SCHEMAS = ("test_schema", "test_schema_2")
"""SQLAlchemy's tests expect these two."""

# Tests of two-phase transactions are skipped without it.
SETTINGS = {"max_prepared_transactions": "10"}


@contextmanager
def postgres_port(*, is_needed: bool) -> Iterator[int]:
    """Yield the port of a new server; 0, and no server, if none is needed."""
    if not is_needed:
        yield 0
        return
    with EmbeddedPostgres(settings=SETTINGS) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            for schema in SCHEMAS:
                connection.execute(f"CREATE SCHEMA {schema}")
        yield server.port
