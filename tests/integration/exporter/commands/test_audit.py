"""`poolscope-exporter audit` as a process: what it says of a real application, and its code."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.applications.apps import instrumented
from support.exporter.exporter_process import ExporterProcess, run_to_the_end
from support.processes.child_processes import wait_until

SAFE: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 3,
    "pool_timeout": 10,
    "pool_pre_ping": True,
    "connect_args": {"keepalives_idle": 300},
}
TOKEN = "t0k3n"


@contextmanager
def an_application(
    exporter: ExporterProcess, postgres: EmbeddedPostgres, **configured: Any
) -> Iterator[None]:
    """Push a real pool of this process, until the exporter has judged all of it."""
    engine = create_engine(
        postgres.dsn.replace("postgresql://", "postgresql+psycopg://"), **{**SAFE, **configured}
    )
    token = TOKEN if exporter.get("/api/v1/pools").status_code != 200 else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with instrumented(endpoint=exporter.otlp, push_interval_s=0.2, token=token):
        for _ in range(3):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))

        def is_heard() -> bool:
            told = exporter.get("/api/v1/pools", **headers).json()
            is_up = all(server["up"] for server in told["servers"])
            return is_up and any(pool["library"] for pool in told["pools"])

        try:
            assert wait_until(is_heard), exporter.log
            yield
        finally:
            engine.dispose()


def audit(exporter: ExporterProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_to_the_end("audit", "--url", exporter.web, *arguments)


def watching(postgres: EmbeddedPostgres, *arguments: str) -> ExporterProcess:
    return ExporterProcess("--poll-interval=0.2", "--dsn", postgres.dsn, *arguments)


def results(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    [pool] = json.loads(answer.stdout)["pools"]
    return {check["check_id"]: check["result"] for check in pool["config_checks"]}


def test_safe_configuration_lets_a_deployment_pass(postgres: EmbeddedPostgres) -> None:
    with watching(postgres) as exporter, an_application(exporter, postgres):
        answer, as_json = audit(exporter), audit(exporter, "--json")
        page, metrics = exporter.get("/").text, exporter.get("/metrics").text

    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert answer.stdout.splitlines()[-1] == "ok: 9 ok, 0 warn, 0 unknown"
    assert "ms per ping as measured" in answer.stdout
    assert as_json.returncode == 0
    assert results(as_json) == dict.fromkeys(
        ("C1", "C2", "C3", "C5", "C6", "C7", "C8", "C9", "C10"), "ok"
    )
    assert "C6 TCP keepalive: 300.0 (300 to 600 s)" in page
    told = [line for line in metrics.splitlines() if line.startswith("poolscope_config_check{")]
    assert len(told) == 9
    assert all('result="ok"' in line and line.endswith(" 1.0") for line in told)


def test_unsafe_configuration_stops_it_and_tells_each_cure(postgres: EmbeddedPostgres) -> None:
    unsafe = {"pool_size": 200, "max_overflow": 0, "pool_timeout": 60, "pool_pre_ping": False}
    with (
        watching(postgres, "--proxy-idle-timeout=400") as exporter,
        an_application(exporter, postgres, **unsafe, connect_args={}),
    ):
        answer, as_json = audit(exporter), audit(exporter, "--json")
        ignoring = audit(exporter, "--ignore=C1,C2,C3", "--ignore=C4,C5,C6,C7,C8")

    assert answer.returncode == as_json.returncode == 1
    assert results(as_json) == {
        **dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"), "warn"),
        "C9": "ok",
        "C10": "ok",
    }
    for line in (
        "  warn     C1   pool_size: 200 (safe: 5 to 20)",
        "  warn     C4   pool_recycle: none (safe: at most 300 s)",
        "  warn     C5   pool_pre_ping: off (safe: on; a ping typically takes less than 2 ms)",
    ):
        assert line in answer.stdout.splitlines(), answer.stdout
    assert "set pool_recycle to at most 300 s: the proxy closes connections" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "warn: 2 ok, 8 warn, 0 unknown"
    assert ignoring.returncode == 0
    assert ignoring.stdout.splitlines()[-1] == "ok: 2 ok, 0 warn, 0 unknown"


def test_users_thresholds_are_those_of_the_exporter(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    file = tmp_path / "thresholds.toml"
    file.write_text("[C1]\nmost = 50\n")
    with (
        watching(postgres, f"--thresholds={file}") as exporter,
        an_application(exporter, postgres, pool_size=50, max_overflow=25),
    ):
        answer = audit(exporter)
    assert "  ok       C1   pool_size: 50 (safe: 5 to 50)" in answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stdout


def test_without_a_server_it_cannot_tell_and_says_what_is_missing(
    postgres: EmbeddedPostgres,
) -> None:
    with ExporterProcess() as exporter, an_application(exporter, postgres):
        answer, ignoring = audit(exporter), audit(exporter, "--ignore=C7,C8")
    assert answer.returncode == 2
    assert answer.stdout.splitlines()[-1] == "unknown: 7 ok, 0 warn, 2 unknown"
    assert "name it with --dsn" in answer.stdout
    assert ignoring.returncode == 0


def test_exporter_that_heard_nobody_cannot_tell() -> None:
    with ExporterProcess() as exporter:
        answer, as_json = audit(exporter), audit(exporter, "--json")
    assert answer.returncode == as_json.returncode == 2
    assert answer.stdout == "unknown: no application has pushed a pool to this exporter\n"
    assert json.loads(as_json.stdout)["result"] == "unknown"


@pytest.mark.parametrize("as_json", [True, False])
def test_exporter_that_does_not_answer_is_told(as_json: bool) -> None:
    port = held_port()
    url = f"http://127.0.0.1:{port}"
    answer = run_to_the_end("audit", "--url", url, *(["--json"] if as_json else []))
    assert answer.returncode == 2
    assert f"{url} does not answer" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_what_is_no_exporter_is_told() -> None:
    with ExporterProcess() as exporter:
        answer = run_to_the_end("audit", "--url", exporter.otlp)
    assert answer.returncode == 2
    assert "check --url" in answer.stdout


def test_token_opens_what_is_closed_without_it(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN} deploys\n")
    with (
        watching(postgres, f"--token-file={file}") as exporter,
        an_application(exporter, postgres),
    ):
        closed = audit(exporter)
        opened = audit(exporter, f"--token-file={file}")
        by_variable = run_to_the_end("audit", "--url", exporter.web, POOLSCOPE_TOKEN=TOKEN)
    assert closed.returncode == 2
    assert "refuses to answer (401): give its token by --token-file" in closed.stdout
    assert (opened.returncode, by_variable.returncode) == (0, 0), opened.stdout
    assert TOKEN not in closed.stdout + closed.stderr + opened.stdout + by_variable.stdout
