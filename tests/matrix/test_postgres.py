"""One version of PostgreSQL: every scenario on it, and every way to connect to it.

`make test-matrix` names its programs by the variable POSTGRES_PROGRAMS. The PostgreSQL of the wheel
has no TLS.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs
from poolscope_generators.ports import held_port
from scenarios.direct import play_direct
from support.applications.apps import instrumented
from support.exporter.exporter_process import (
    LOOPBACK_CERT,
    LOOPBACK_KEY,
    PUSH_INTERVAL_S,
    ExporterProcess,
    run_to_the_end,
)
from support.postgres.server import GIVEN_PROGRAMS, run_sql
from support.processes.child_processes import wait_until

WITHIN_S = 60.0
PASSWORD = "scram"
PROGRAMS = Programs(Path(str(GIVEN_PROGRAMS)))
IPV4, IPV6 = "127.0.0.1", "::1"

pytestmark = pytest.mark.skipif(
    GIVEN_PROGRAMS is None, reason="POSTGRES_PROGRAMS names no programs: make test-matrix does"
)


def a_server(**arguments: object) -> EmbeddedPostgres:
    return EmbeddedPostgres(programs=PROGRAMS, port=held_port(), **arguments)  # type: ignore[arg-type]


def test_every_verdict_link_and_diagnosis_is_right(tmp_path: Path) -> None:
    with a_server() as server:
        play_direct(server, "this PostgreSQL", tmp_path)


@dataclass(frozen=True, slots=True)
class Server:
    """A server with TLS and passwords, on both families of addresses and a Unix socket."""

    port: int
    socket_folder: str

    def dsn(self, *hosts: str, **keywords: str) -> str:
        """Return a DSN of these hosts; `socket` is the folder of the Unix socket."""
        named = (self.socket_folder if host == "socket" else host for host in hosts)
        account = {"user": "postgres", "password": PASSWORD, "dbname": "postgres"}
        ports = {"port": str(self.port)}
        return make_conninfo("", **{"host": ",".join(named), **ports, **account, **keywords})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with ExitStack() as stack:
        # Not pytest's folder, which only its owner may enter; and a socket's path must be short.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="poolscope-test-"))
        sockets = Path(folder)
        sockets.chmod(0o777)
        cert, key = (sockets / each.name for each in (LOOPBACK_CERT, LOOPBACK_KEY))
        cert.write_bytes(LOOPBACK_CERT.read_bytes())
        key.write_bytes(LOOPBACK_KEY.read_bytes())
        key.chmod(0o600)
        Account.for_postgres().give_ownership(sockets)
        settings = {
            "listen_addresses": f"{IPV4},{IPV6}",
            "unix_socket_directories": str(sockets),
            "ssl": "on",
            "ssl_cert_file": str(cert),
            "ssl_key_file": str(key),
            "password_encryption": "scram-sha-256",
            "wal_level": "logical",
        }
        running = a_server(auth="scram-sha-256", password=PASSWORD, settings=settings)
        stack.enter_context(running)
        yield Server(running.port, str(sockets))


def link_of_a_held_connection(app_dsn: str, exporter_dsn: str, *options: str) -> tuple[str, bool]:
    """Return the link of a connection that an app holds, and whether its PID is right."""
    with (
        ExporterProcess("--poll-interval=0.3", "--dsn", exporter_dsn, *options) as exporter,
        instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S),
        ConnectionPool(app_dsn, min_size=1, max_size=1, open=False) as pool,
        pool.connection() as connection,
    ):
        connection.execute("SELECT 1")
        assert wait_until(exporter.is_up, WITHIN_S), exporter.log

        def is_judged() -> bool:
            return [row["link"] for row in exporter.checkouts()] not in (
                [], ["unlinked:not_sampled"], ["unlinked:server_down"], ["unlinked:stale"]
            )  # fmt: skip

        assert wait_until(is_judged, WITHIN_S), exporter.checkouts()
        (row,) = exporter.checkouts()
        return row["link"], row["backend_pid"] == connection.info.backend_pid


TLS = {"sslmode": "verify-full", "sslrootcert": str(LOOPBACK_CERT)}
DEAD = "127.0.0.2"
"""Nothing listens there: the server listens on 127.0.0.1 alone."""


@pytest.mark.parametrize(
    ("app", "exporter", "keywords", "link"),
    [
        (IPV4, IPV4, {"sslmode": "disable"}, "address"),
        (IPV4, IPV4, TLS, "address"),
        (IPV6, IPV6, {}, "address"),
        (IPV6, IPV4, {}, "address"),
        ("socket", "socket", {}, "age"),
        (IPV4, IPV4, {"target_session_attrs": "read-write"}, "address"),
    ],
    ids=["plain", "tls-verify-full", "ipv6", "app-ipv6-exporter-ipv4", "socket", "read-write"],
)
def test_a_held_connection_is_linked(
    server: Server, app: str, exporter: str, keywords: dict[str, str], link: str
) -> None:
    found = link_of_a_held_connection(server.dsn(app, **keywords), server.dsn(exporter, **keywords))

    assert found == (link, True)


def test_a_first_host_that_is_dead_is_passed_over(server: Server) -> None:
    both = server.dsn(DEAD, IPV4)

    assert link_of_a_held_connection(both, both) == ("address", True)


@pytest.mark.parametrize(("app", "exporter"), [("socket", IPV4), (IPV4, "socket")])
def test_a_socket_and_an_address_are_one_server_by_an_alias(
    server: Server, app: str, exporter: str
) -> None:
    dsns = server.dsn(app), server.dsn(exporter)
    host = server.socket_folder if app == "socket" else app

    unlinked = link_of_a_held_connection(*dsns)
    by_alias = link_of_a_held_connection(*dsns, f"--server-alias={host}:{server.port}")

    assert unlinked[0] == "unlinked:unknown_server"
    assert by_alias == ("age" if app == "socket" else "address", True)


def test_a_standby_is_linked_by_a_dsn_of_several_hosts() -> None:
    """A server that recovers for ever is a standby to every query of a client."""
    with a_server() as primary, a_server() as standby:
        standby.stop()
        assert standby._folder is not None
        (standby._folder / "data" / "standby.signal").touch()
        standby.start()
        dsn = make_conninfo(
            "", host=f"{IPV4},{IPV4}", port=f"{primary.port},{standby.port}", user="postgres",
            dbname="postgres", target_session_attrs="standby",
        )  # fmt: skip

        assert link_of_a_held_connection(dsn, dsn) == ("address", True)
        reported = run_to_the_end("check", "--dsn", dsn).stdout

    assert ", replica\n" in reported


def test_a_session_that_sends_wal_is_not_counted(server: Server) -> None:
    """Such a session is in pg_stat_activity, but takes no place of max_connections."""
    kinds = "SELECT backend_type FROM pg_stat_activity WHERE pid = %s"
    dsn = server.dsn(IPV4)
    with ExporterProcess("--poll-interval=0.3", "--dsn", dsn) as exporter:
        assert wait_until(lambda: sessions(exporter) > 0, WITHIN_S), exporter.log
        before = sessions(exporter)
        with closing(psycopg.connect(dsn, replication="database", autocommit=True)) as sender:
            [(kind,)] = run_sql(dsn, kinds, sender.info.backend_pid)
            with closing(psycopg.connect(dsn)):
                # A poll that has the second session would have the first one too.
                assert wait_until(lambda: sessions(exporter) > before, WITHIN_S)
                during = sessions(exporter)

    assert kind == "walsender"
    assert during == before + 1


def sessions(exporter: ExporterProcess) -> int:
    return sum((exporter.server()["connections"] or {}).values())
