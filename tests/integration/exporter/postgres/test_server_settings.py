"""What is said of a server on the command line is what its poller does, in the whole process."""

import shlex
from pathlib import Path

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import make_role
from support.processes.child_processes import wait_until

SECRET = "s3cr3t-0f-th3-r0l3"
POLLED_OFTEN = "--poll-interval=0.2"


def shows(exporter: ExporterProcess, line: str) -> bool:
    return any(line in each for each in exporter.get("/metrics").text.splitlines())


def test_a_rotated_password_is_read_anew_from_its_file_and_from_its_command(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("not-yet")
    command = shlex.join(["/bin/cat", str(file)])
    with EmbeddedPostgres(auth="scram-sha-256", password="right") as postgres:
        make_role(postgres, "cloud", password=SECRET)
        dsn = f"--dsn={postgres.dsn_for('cloud')}"
        for setting in (f"--password-file={file}", f"--password-command={command}"):
            file.write_text("not-yet")
            with ExporterProcess(dsn, POLLED_OFTEN, setting) as exporter:
                assert wait_until(lambda: failures(exporter) > 0), exporter.log
                file.write_text(SECRET)
                assert wait_until(lambda: up(exporter)), exporter.log
                assert SECRET not in exporter.log + exporter.get("/metrics").text


def test_a_primary_where_a_replica_is_expected_is_told_and_not_judged_by(
    postgres: EmbeddedPostgres,
) -> None:
    with ExporterProcess(f"--dsn={postgres.dsn}", POLLED_OFTEN, "--expects=replica") as exporter:
        assert wait_until(lambda: shows(exporter, 'role="primary"')), exporter.log
        assert not up(exporter)
        assert "a primary answers where a replica is expected" in exporter.log


def up(exporter: ExporterProcess) -> bool:
    [server] = exporter.get("/api/v1/pools").json()["servers"]
    return bool(server["up"])


def failures(exporter: ExporterProcess) -> float:
    lines = exporter.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("poolscope_poll_failures_total")]
    return sum(float(line.rpartition(" ")[2]) for line in counts if "authentication" in line)
