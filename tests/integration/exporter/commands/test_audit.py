"""`poolscope-exporter audit` as a process: what it says of a real application, and its code."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import create_engine, event, text

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.applications.apps import instrumented
from support.exporter.exporter_process import (
    PUSH_INTERVAL_S,
    ExporterProcess,
    run_to_the_end,
)
from support.exporter.live_pages import pool_paths
from support.processes.child_processes import wait_until

SAFE: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 3,
    "pool_timeout": 10,
    "pool_pre_ping": True,
    "connect_args": {"keepalives_idle": 300, "connect_timeout": 5},
}
TOKEN = "t0k3n"
PINGS = 300
"""So many that a moment in which a busy machine did something else makes no network slow."""


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
    with instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S, token=token):
        for _ in range(PINGS + 1):
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


def page_path(exporter: ExporterProcess) -> str:
    """Return the address of the page of the worst pool, as the start page links it."""
    return pool_paths(exporter.get("/").text)[0]


def results(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    told = json.loads(answer.stdout)
    [pool] = told["pools"]
    checks = [*told["servers"], *pool["config_checks"]]
    return {check["check_id"]: check["result"] for check in checks}


def test_safe_configuration_lets_a_deployment_pass(postgres: EmbeddedPostgres) -> None:
    with watching(postgres) as exporter, an_application(exporter, postgres):
        answer, as_json = audit(exporter), audit(exporter, "--json")
        page, metrics = exporter.get(page_path(exporter)).text, exporter.get("/metrics").text

    assert (answer.returncode, answer.stderr) == (0, ""), answer.stdout
    assert answer.stdout.splitlines()[-1] == "ok: 10 ok, 0 warn, 0 unknown"
    assert "ms per ping as measured" in answer.stdout
    assert f", pool postgres ({socket.gethostname()}:{os.getpid()})\n" in answer.stdout
    assert as_json.returncode == 0
    assert results(as_json) == dict.fromkeys(
        ("C1", "C2", "C3", "C5", "C7", "C8", "C9", "C10", "C11", "C14"), "ok"
    )
    assert "C5 pool_pre_ping: on, " in page
    told = [line for line in metrics.splitlines() if line.startswith("poolscope_config_check{")]
    assert len(told) == 10
    assert all('result="ok"' in line and line.endswith(" 1.0") for line in told)


def test_unsafe_configuration_stops_it_and_tells_each_cure(postgres: EmbeddedPostgres) -> None:
    unsafe = {"pool_size": 200, "max_overflow": 0, "pool_timeout": 60, "pool_pre_ping": False}
    with (
        watching(postgres, "--proxy-idle-timeout=400") as exporter,
        an_application(exporter, postgres, **unsafe, connect_args={}),
    ):
        answer, as_json = audit(exporter), audit(exporter, "--json")
        ignoring = audit(exporter, "--ignore=C1,C2,C3", "--ignore=C4,C5,C7,C8,C14")

    assert answer.returncode == as_json.returncode == 1
    assert results(as_json) == {
        **dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C7", "C8", "C14"), "warn"),
        "C9": "ok",
        "C10": "ok",
        "C11": "ok",
    }
    for line in (
        "  warn      C1   pool_size: 200 (safe: 5 to 20)",
        "  warn      C4   pool_recycle: none (safe: at most 300 s)",
        "  warn      C5   pool_pre_ping: off (safe: on; a ping typically takes less than 2 ms)",
    ):
        assert line in answer.stdout.splitlines(), answer.stdout
    assert "set pool_recycle to at most 300 s: the proxy closes connections" in answer.stdout
    assert 'set connect_args={"connect_timeout": …} of the engine: without it an' in answer.stdout
    assert answer.stdout.splitlines()[-1] == "warn: 3 ok, 8 warn, 0 unknown"
    assert ignoring.returncode == 0
    assert ignoring.stdout.splitlines()[-1] == "ok: 3 ok, 0 warn, 0 unknown"


async def test_asyncpgs_own_settings_are_judged_behind_a_nat(postgres: EmbeddedPostgres) -> None:
    with (
        watching(postgres, "--nat-idle-timeout=350") as exporter,
        instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S),
    ):
        pool = await asyncpg.create_pool(postgres.dsn, min_size=2, max_size=8)
        assert await pool.fetchval("SELECT 1") == 1

        def found() -> dict[str, dict[str, Any]]:
            told = exporter.get("/api/v1/pools").json()["pools"]
            return {check["check_id"]: check for pool in told for check in pool["config_checks"]}

        def is_judged() -> bool:
            return "wait for ever" in str(found().get("C3"))

        assert await asyncio.to_thread(wait_until, is_judged), exporter.log
        checks = found()
        [row] = exporter.get("/api/v1/pools").json()["pools"]
        metrics = exporter.get("/metrics").text
        pool.terminate()

    assert {check_id: checks[check_id]["result"] for check_id in ("C3", "C4", "C14")} == {
        "C3": "warn",
        "C4": "warn",
        "C14": "ok",  # nobody gives up in the queue before its 60 s
    }
    assert "C6" not in checks  # no NAT is on the way to a loopback address
    assert checks["C3"]["cure"] == (
        "callers wait for ever: pass timeout=10 to 30 s to each acquire()"
    )
    assert checks["C4"]["cure"].startswith(
        "set max_inactive_connection_lifetime to at most 262.5 s: the NAT drops connections"
    )
    assert checks["C14"]["value"].startswith("60 s; 95 % of connections opened within ")
    assert (row["timeout_s"], row["connect_timeout_s"], row["idle_timeout_s"]) == (None, 60, 300)
    assert 0 < row["create_p95_s"] < 5
    assert 'poolscope_proxy_idle_timeout_seconds{pgbouncer="",source="nat"} 350.0' in metrics


def test_connections_that_open_slowly_are_a_finding_beside_their_time_out(
    postgres: EmbeddedPostgres,
) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+psycopg://")
    limits = {"keepalives_idle": 300, "connect_timeout": 2}
    engine = create_engine(url, **{**SAFE, "connect_args": limits})
    # A slow network, as far as the pool can see.
    event.listen(engine, "do_connect", lambda *_: time.sleep(1.1))
    with (
        watching(postgres) as exporter,
        instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S),
    ):
        engine.connect().close()
        assert wait_until(lambda: "opening a connection takes" in audit(exporter).stdout)
        answer = audit(exporter)
        engine.dispose()
    [finding] = [line for line in answer.stdout.splitlines() if "  C14  " in line]
    assert finding.startswith("  warn      C14  connect_timeout: 2 s; 95 % of connections opened ")
    assert re.search(
        r"opening a connection takes up to 1\.\d+ s .* \d\d% of connect_time", answer.stdout
    )


def test_engine_that_is_made_for_each_request_is_named_by_its_line(
    postgres: EmbeddedPostgres,
) -> None:
    url = postgres.dsn.replace("postgresql://", "postgresql+psycopg://")
    with (
        watching(postgres) as exporter,
        instrumented(endpoint=exporter.otlp, push_interval_s=PUSH_INTERVAL_S),
    ):
        engines = [create_engine(url, **SAFE) for _ in range(12)]
        line = sys._getframe().f_lineno - 1
        for engine in engines:
            engine.connect().close()

        answer = audit(exporter)

        def is_found() -> bool:
            nonlocal answer
            answer = audit(exporter)
            return ": make the engine once" in answer.stdout

        assert wait_until(is_found), exporter.log
        path = page_path(exporter)
        assert wait_until(lambda: ": make the engine once" in exporter.get(path).text)
        page = exporter.get(path).text
        for engine in engines:
            engine.dispose()

    place = f"test_audit.py:{line}"
    [finding] = [each for each in answer.stdout.splitlines() if "  C16  " in each]
    assert re.fullmatch(
        rf"  warn      C16  pools made at \S*{place}: 12 \(safe: at most 10\)", finding
    )
    assert f"{place}: make the engine once" in answer.stdout
    assert f"{place}: make the engine once" in page
    assert answer.returncode == 1


def test_sidecar_leaves_the_sum_to_the_exporter_of_all_pods(postgres: EmbeddedPostgres) -> None:
    with (
        watching(postgres, "--role=sidecar") as sidecar,
        an_application(sidecar, postgres),
    ):
        answer, as_json = audit(sidecar), audit(sidecar, "--json")
        page, metrics = sidecar.get(page_path(sidecar)).text, sidecar.get("/metrics").text
        others = [check_id for check_id in results(as_json) if check_id != "C7"]
        alone = audit(sidecar, f"--ignore={','.join(others)}")

    assert (answer.returncode, as_json.returncode) == (0, 0), answer.stdout
    assert answer.stdout.splitlines()[-1] == "ok: 9 ok, 0 warn, 0 unknown, 1 elsewhere"
    assert results(as_json) == {"C7": "elsewhere", **dict.fromkeys(others, "ok")}
    assert "  elsewhere C7   connections that all processes may open: at least 8, in this pod" in (
        answer.stdout
    )
    assert "run audit against the exporter that receives those of all pods" in answer.stdout
    assert 'C7 <span class="tag dim">elsewhere</span>' in page
    [series] = [line for line in metrics.splitlines() if re.match("poolscope_config.*C7", line)]
    assert 'result="elsewhere"' in series
    # What nobody judged here is not shown as well.
    assert (alone.returncode, alone.stdout.splitlines()[-1]) == (
        2,
        "unknown: 0 ok, 0 warn, 0 unknown, 1 elsewhere",
    )


def test_sidecar_warns_where_the_pools_of_its_pod_alone_are_too_many(
    postgres: EmbeddedPostgres,
) -> None:
    with (
        watching(postgres, "--role=sidecar") as sidecar,
        an_application(sidecar, postgres, pool_size=20, max_overflow=200),
    ):
        answer = audit(sidecar)
    assert answer.returncode == 1
    assert "  warn      C7   connections that all processes may open: 220 " in answer.stdout


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
    assert "  ok        C1   pool_size: 50 (safe: 5 to 50)" in answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stdout


def test_without_a_server_it_cannot_tell_and_says_what_is_missing(
    postgres: EmbeddedPostgres,
) -> None:
    with ExporterProcess() as exporter, an_application(exporter, postgres):
        answer, ignoring = audit(exporter), audit(exporter, "--ignore=C7,C8")
    assert answer.returncode == 2
    assert answer.stdout.splitlines()[-1] == "unknown: 8 ok, 0 warn, 2 unknown"
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
    assert "refuses to answer (401): pass its token by --token-file" in closed.stdout
    assert (opened.returncode, by_variable.returncode) == (0, 0), opened.stdout
    assert TOKEN not in closed.stdout + closed.stderr + opened.stdout + by_variable.stdout
