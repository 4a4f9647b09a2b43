"""The demo's database: an embedded server, or a schema on the user's server, dropped again."""

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL

from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_data import SUPERUSER
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.polling.dsn import Dsn, parse_dsn

SCHEMA = "poolscope_demo"
SHOP_ROLE = "shop"
SHOP_DATABASE = "shop"
EXPORTER_ROLE = "poolscope"
SQLALCHEMY_DRIVER = "postgresql+asyncpg"
CONNECT_TIMEOUT_S = 5
DROP_LOCK_TIMEOUT = "10s"

# End the app's sessions that still hold locks in the demo's schema. The app is gone, but the server
# notices that only at the end of a long query.
END_SESSIONS_OF_THE_APP = """
SELECT pg_terminate_backend(pid)
FROM (
  SELECT DISTINCT l.pid
  FROM pg_locks AS l
  JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()
  JOIN pg_class AS c ON c.oid = l.relation
  WHERE c.relnamespace = to_regnamespace(%s)
) AS holders
"""

logger = logging.getLogger("poolscope_exporter")


@dataclass(frozen=True, slots=True)
class Database:
    """The database of the sample app, and the DSN with which the exporter polls it.

    `app_url` (for SQLAlchemy) and `exporter_dsn` may hold passwords; `name` never does. `check`
    raises DemoError if an embedded server has ended.
    """

    name: str
    app_url: str = field(repr=False)
    exporter_dsn: str = field(repr=False)
    check: Callable[[], None]


@contextlib.contextmanager
def embedded_database() -> Iterator[Database]:
    """Yield a database on an embedded PostgreSQL 18, removed at the end.

    The app and the exporter each have a role with minimal rights, and a password. Without one,
    other users of this machine could connect over loopback.
    """
    password, shop_password, exporter_password = (secrets.token_urlsafe() for _ in range(3))
    with EmbeddedPostgres(auth="scram-sha-256", password=password) as server:
        _make_roles_and_schema(server, password, shop_password, exporter_password)
        app_url = URL.create(
            SQLALCHEMY_DRIVER, SHOP_ROLE, shop_password, HOST, server.port, SHOP_DATABASE
        )
        yield Database(
            name=f"embedded PostgreSQL {server.major} on {HOST}:{server.port}",
            app_url=app_url.render_as_string(hide_password=False),
            exporter_dsn=server.dsn_for(EXPORTER_ROLE, exporter_password),
            check=server.raise_if_stopped,
        )


@contextlib.contextmanager
def given_database(text: str) -> Iterator[Database]:
    """Yield the database of the user's DSN; the demo's schema in it is dropped at the end.

    Raises DemoError, with no password in the message.
    """
    try:
        dsn = parse_dsn(text)
    except ValueError as error:
        raise DemoError(f"--dsn {error}") from None
    app_url = _make_schema(dsn)
    try:
        yield Database(
            name=f"PostgreSQL on {dsn}",
            app_url=app_url.render_as_string(hide_password=False),
            exporter_dsn=dsn.reveal(),
            check=lambda: None,
        )
    finally:
        _drop_schema(dsn)


def _make_roles_and_schema(
    server: EmbeddedPostgres, password: str, shop_password: str, exporter_password: str
) -> None:
    shop, exporter = sql.Identifier(SHOP_ROLE), sql.Identifier(EXPORTER_ROLE)
    make_role = "CREATE ROLE {} LOGIN PASSWORD {}"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL(make_role).format(shop, shop_password))
        connection.execute(sql.SQL(make_role).format(exporter, exporter_password))
        connection.execute(sql.SQL("GRANT pg_read_all_stats TO {}").format(exporter))
        make_database = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(make_database.format(sql.Identifier(SHOP_DATABASE), shop))
    shop_dsn = server.dsn_for(SUPERUSER, password, database=SHOP_DATABASE)
    with psycopg.connect(shop_dsn, autocommit=True) as connection:
        make_schema = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}")
        connection.execute(make_schema.format(sql.Identifier(SCHEMA), shop))


def _make_schema(dsn: Dsn) -> URL:
    try:
        with _connect(dsn) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
            return _app_url(connection)
    except psycopg.errors.DuplicateSchema as error:
        raise DemoError(
            f"the database on {dsn} already has a schema {SCHEMA}; if an earlier demo left it "
            f"there: DROP SCHEMA {SCHEMA} CASCADE"
        ) from error
    except psycopg.Error as error:
        raise DemoError(
            f"cannot create the schema {SCHEMA} in the database on {dsn}: "
            f"{dsn.redact(str(error)).strip()}"
        ) from None


def _drop_schema(dsn: Dsn) -> None:
    try:
        with _connect(dsn) as connection:
            connection.execute(END_SESSIONS_OF_THE_APP, [SCHEMA])
            connection.execute(sql.SQL("SET lock_timeout = {}").format(DROP_LOCK_TIMEOUT))
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
            connection.execute(drop.format(sql.Identifier(SCHEMA)))
    except psycopg.Error as error:
        logger.warning(
            "could not drop the schema %s on %s: %s", SCHEMA, dsn, dsn.redact(str(error)).strip()
        )


def _connect(dsn: Dsn) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(dsn.reveal(), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def _app_url(connection: psycopg.Connection[tuple[Any, ...]]) -> URL:
    """Return the app's URL from libpq's parameters, which include variables and password file."""
    info = connection.info
    is_socket = info.host.startswith("/")
    query = {"host": info.host} if is_socket else {}
    if connection.pgconn.ssl_in_use:
        query["ssl"] = "require"
    return URL.create(
        SQLALCHEMY_DRIVER,
        username=info.user,
        password=info.password or None,
        host=None if is_socket else info.host,
        port=info.port,
        database=info.dbname,
        query=query,
    )
