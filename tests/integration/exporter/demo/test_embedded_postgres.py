"""The embedded server: what the demo and every test on real SQL rely on."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from poolscope_exporter.demo import postgres_wheel
from poolscope_exporter.demo.accounts import Account
from poolscope_exporter.demo.postgres_data import EmbeddedPostgresError
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.postgres_wheel import Programs, WheelMissingError
from support.postgres.server import make_role, run_sql
from support.processes.child_processes import is_alive, wait_until

SERVER_THAT_NOBODY_STOPS = """
import sys, time
from pathlib import Path
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def test_clients_come_over_tcp_so_that_client_ports_exist(every_postgres: EmbeddedPostgres) -> None:
    address, port = run_sql(
        every_postgres.dsn, "SELECT host(inet_client_addr()), inet_client_port()"
    )[0]
    assert address == "127.0.0.1"
    assert port > 0


def test_each_fixture_is_the_version_it_says(
    postgres_16: EmbeddedPostgres, postgres_18: EmbeddedPostgres
) -> None:
    for server, major in ((postgres_16, 16), (postgres_18, 18)):
        version = int(run_sql(server.dsn, "SHOW server_version_num")[0][0])
        assert version // 10_000 == major


def test_it_listens_on_loopback_alone(postgres: EmbeddedPostgres) -> None:
    assert run_sql(postgres.dsn, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert run_sql(postgres.dsn, "SHOW unix_socket_directories") == [("",)]


def test_data_and_port_survive_a_restart() -> None:
    with EmbeddedPostgres() as server:
        dsn = server.dsn
        run_sql(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        server.stop()
        assert not server.is_running
        with pytest.raises(psycopg.OperationalError):
            run_sql(dsn, "SELECT 1")
        server.start()
        assert run_sql(dsn, "SELECT answer FROM kept") == [(42,)]


def test_stopping_ends_sessions_that_are_in_use() -> None:
    with EmbeddedPostgres() as server, psycopg.connect(server.dsn) as session:
        session.execute("SELECT 1")
        server.stop()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_the_context_leaves_neither_a_process_nor_a_file(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder) as server:
        pid = server.pid
        assert len(list(open_folder.iterdir())) == 1
    assert not is_alive(pid)
    assert list(open_folder.iterdir()) == []


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_does_not_outlive_the_process_that_started_it(
    open_folder: Path, death: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER_THAT_NOBODY_STOPS, str(open_folder)], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        postmaster = int(parent.stdout.readline())
        assert is_alive(postmaster)
        parent.send_signal(death)
    assert wait_until(lambda: not is_alive(postmaster))
    assert wait_until(lambda: not any(open_folder.iterdir()))


def test_settings_reach_the_server() -> None:
    with EmbeddedPostgres(settings={"max_connections": "17"}) as server:
        assert run_sql(server.dsn, "SHOW max_connections") == [("17",)]


def test_a_password_is_asked_for_and_is_not_in_the_repr() -> None:
    with EmbeddedPostgres(auth="scram-sha-256", password="p/w @:#") as server:
        assert run_sql(server.dsn, "SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            run_sql(server.dsn_for("postgres", "wrong"), "SELECT 1")
        assert "p/w" not in repr(server)
        assert "p/w" not in server.log


def test_authentication_without_a_password_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="needs a password"):
        EmbeddedPostgres(auth="scram-sha-256")


def test_a_server_that_does_not_start_says_so_with_its_log() -> None:
    with (
        pytest.raises(EmbeddedPostgresError, match='unrecognized configuration parameter "nonsens'),
        EmbeddedPostgres(settings={"nonsense": "1"}),
    ):
        pass


def test_a_port_in_use_is_an_error_and_never_somebody_elses_server(
    postgres: EmbeddedPostgres,
) -> None:
    second = EmbeddedPostgres(port=postgres.port)
    with pytest.raises(EmbeddedPostgresError, match="Address already in use"):
        second.start()
    second.remove()


def test_programs_that_the_account_cannot_reach_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Programs, "run_for", lambda programs, account: False)
    with EmbeddedPostgres() as server:
        executable = Path(f"/proc/{server.pid}/exe").resolve()
        assert executable.parts[: len(Path(tempfile.gettempdir()).parts)] == (
            Path(tempfile.gettempdir()).resolve().parts
        )
        assert run_sql(server.dsn, "SELECT 1") == [(1,)]


def test_programs_in_a_folder_that_is_closed_to_the_account_cannot_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    programs = postgres_wheel.copy_programs(18, tmp_path / "copy", Account.ours())
    assert programs.run_for(Account.ours())
    if os.geteuid() == 0:
        assert not programs.run_for(Account.for_postgres())


def test_a_missing_wheel_is_an_error_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_wheel, "PACKAGE", "no_such_wheel")
    with pytest.raises(WheelMissingError, match=r"poolscope-exporter\[demo\].*--dsn"):
        EmbeddedPostgres().start()


def test_a_new_role_may_see_no_more_than_it_was_granted(every_postgres: EmbeddedPostgres) -> None:
    plain = make_role(every_postgres, "d_plain")
    reader = make_role(every_postgres, "d_reader", member_of=("pg_read_all_stats",))
    count_visible = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND state IS NOT NULL"
    )
    with psycopg.connect(every_postgres.dsn):
        assert run_sql(plain, count_visible) == [(0,)]
        assert run_sql(reader, count_visible)[0][0] >= 1
