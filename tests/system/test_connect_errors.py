"""Connects that a real PgBouncer or MariaDB refuses, by kind; `make test-all` runs this."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]
import psycopg
import pymysql
import pytest

from poolscope.catalogue import ConnectErrorKind as Kind
from poolscope.recording.driver_errors.connect_errors import classify_connect_error
from poolscope_exporter.demo.ports import HOST, free_ports
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from support.applications.mariadb import MariaDB
from support.pgbouncer import require_pgbouncer

TIMEOUT_S = 5
MOST_CLIENTS = 2


async def kinds(dsn: str) -> list[Kind]:
    """Return how asyncpg, psycopg and asynchronous psycopg fail to connect."""
    limits: dict[str, Any] = {"connect_timeout": TIMEOUT_S}
    return [
        await kind_of(lambda: asyncpg.connect(dsn, timeout=TIMEOUT_S)),
        await kind_of(lambda: asyncio.to_thread(psycopg.connect, dsn, **limits)),
        await kind_of(lambda: psycopg.AsyncConnection.connect(dsn, **limits)),
    ]


async def kind_of(connect: Callable[[], Awaitable[object]]) -> Kind:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - they have no class in common
        await connect()
    return classify_connect_error(raised.value)


@pytest.fixture
def bouncer(postgres: EmbeddedPostgres) -> Iterator[PgBouncer]:
    require_pgbouncer()
    with PgBouncer(postgres, max_client_conn=MOST_CLIENTS) as bouncer:
        yield bouncer


@pytest.mark.parametrize(
    ("role", "rest", "kind"),
    [
        ("postgres", "nothere", Kind.UNKNOWN_DATABASE),
        ("stranger", "postgres", Kind.AUTHENTICATION),
        ("postgres", "postgres?options=-c%20work_mem%3D1MB", Kind.WRONG_SETTING),
        ("postgres", "postgres?sslmode=require", Kind.TLS),
    ],
)
async def test_pgbouncer_that_refuses_a_client_gives_the_kind(
    bouncer: PgBouncer, role: str, rest: str, kind: Kind
) -> None:
    assert await kinds(f"postgresql://{role}@{HOST}:{bouncer.port}/{rest}") == [kind] * 3


async def test_pgbouncer_with_all_the_clients_it_takes_has_too_many(bouncer: PgBouncer) -> None:
    with ExitStack() as held:
        for _ in range(MOST_CLIENTS):
            held.enter_context(psycopg.connect(bouncer.dsn))
        assert await kinds(bouncer.dsn) == [Kind.TOO_MANY_CONNECTIONS] * 3


async def test_pgbouncer_that_cannot_reach_its_server_times_out() -> None:
    require_pgbouncer()
    with EmbeddedPostgres() as server, PgBouncer(server, query_wait_timeout=1) as bouncer:
        server.stop()
        assert await kinds(bouncer.dsn) == [Kind.TIMEOUT] * 3


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"user": "stranger", "password": "x"}, Kind.AUTHENTICATION),
        ({"database": "nothere"}, Kind.UNKNOWN_DATABASE),
        ({"init_command": "SET nonsense = 1"}, Kind.WRONG_SETTING),
        ({"host": "nohost.invalid"}, Kind.NAME_RESOLUTION),
    ],
)
async def test_mariadb_that_refuses_a_client_gives_the_kind(
    mariadb: MariaDB, arguments: dict[str, str], kind: Kind
) -> None:
    assert await mysql_kinds(mariadb.port, **arguments) == [kind] * 2


async def mysql_kinds(port: int, *, database: str = "test", **arguments: str) -> list[Kind]:
    """Return how PyMySQL and aiomysql fail to connect."""
    where: dict[str, Any] = {"host": HOST, "port": port, "user": "root", **arguments}
    return [
        await kind_of(
            lambda: asyncio.to_thread(lambda: pymysql.connect(database=database, **where))
        ),
        await kind_of(lambda: aiomysql.connect(db=database, **where)),
    ]


async def test_port_without_mariadb_refuses_and_one_that_hangs_up_resets() -> None:
    [port] = free_ports([0])
    assert await mysql_kinds(port) == [Kind.REFUSED] * 2
    async with await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0) as server:
        assert await mysql_kinds(server.sockets[0].getsockname()[1]) == [Kind.RESET] * 2
