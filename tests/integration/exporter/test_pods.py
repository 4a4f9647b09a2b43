"""A pod of four real workers: C1, C7 and how many more fit, on page, API, audit and /metrics."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from poolscope import catalogue
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import (
    PUSH_INTERVAL_S,
    ExporterProcess,
    run_to_the_end,
)
from support.processes.child_processes import wait_until

WORKERS = 4
SIZE, OVERFLOW = 6, 2
PER_POD = WORKERS * (SIZE + OVERFLOW)
MEMORY = 512 * 2**20

WORKER = f"""
import sys
import poolscope, sqlalchemy
poolscope.instrument(endpoint=sys.argv[1], push_interval_s={PUSH_INTERVAL_S})
engine = sqlalchemy.create_engine(sys.argv[2], pool_size={SIZE}, max_overflow={OVERFLOW})
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))
sys.stdin.read()
"""


@contextmanager
def a_pod(exporter: ExporterProcess, dsn: str) -> Iterator[None]:
    """Run the workers of one pod, in a container that says what it may use."""
    attributes = {
        catalogue.K8S_POD_NAME: "shop-5d9",
        catalogue.CONTAINER_CPU_LIMIT: "2",
        catalogue.CONTAINER_MEMORY_LIMIT: str(MEMORY),
    }
    environment = {
        **os.environ,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{k}={v}" for k, v in attributes.items()),
    }
    url = dsn.replace("postgresql://", "postgresql+psycopg://")
    command = [sys.executable, "-c", WORKER, exporter.otlp, url]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))
            for _ in range(WORKERS)
        ]
        try:
            yield
        finally:
            for worker in workers:
                worker.communicate()


def pools(exporter: ExporterProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = exporter.get("/api/v1/pools").json()["pools"]
    return found


def checks(exporter: ExporterProcess, check_id: str) -> list[dict[str, Any]]:
    return [
        check
        for pool in pools(exporter)
        for check in pool["config_checks"]
        if check["check_id"] == check_id
    ]


def test_a_pod_is_judged_whole_and_at_its_largest(postgres: EmbeddedPostgres) -> None:
    arguments = ("--poll-interval=0.2", "--dsn", postgres.dsn, "--max-processes", "shop=40")
    with ExporterProcess(*arguments) as exporter, a_pod(exporter, postgres.dsn):

        def is_whole() -> bool:
            room = exporter.server()["room_for_pods"]
            told = [(pool["pod"] or {}).get("max") for pool in pools(exporter)]
            opened = [(pool["used"] or 0) + (pool["idle"] or 0) for pool in pools(exporter)]
            return told == [PER_POD] * WORKERS and opened == [1] * WORKERS and bool(room)

        assert wait_until(is_whole), exporter.log
        server, page = exporter.server(), exporter.get("/").text
        c1, c7 = checks(exporter, "C1"), checks(exporter, "C7")
        pod = pools(exporter)[0]["pod"]
        audit = run_to_the_end("audit", "--url", exporter.web)
        metrics = exporter.get("/metrics").text

    assert pod == {
        "kind": "pod",
        "processes": WORKERS,
        "size": WORKERS * SIZE,
        "max": PER_POD,
        "cpu_limit": 2.0,
        "memory_limit_bytes": MEMORY,
    }
    # Each worker alone keeps a safe number.
    assert {(check["result"], check["value"]) for check in c1} == {("warn", WORKERS * SIZE)}
    cure = (
        "4 processes with pool_size 6 + max_overflow 2 keep 24 connections, and may open 32, where "
        "they have 2 CPUs and 512 MiB of memory: lower pool_size, or run fewer processes in a pod"
    )
    assert {check["cure"] for check in c1} == {cure}
    assert {(check["result"], check["value"]) for check in c7} == {("warn", 40 * (SIZE + OVERFLOW))}
    assert "and 288 more with 40 processes of shop" in c7[0]["cure"]
    assert audit.returncode == 1
    assert "and 288 more with 40 processes of shop" in audit.stdout
    assert "4 processes with pool_size 6 + max_overflow 2 keep 24 connections" in audit.stdout

    (room,) = server["room_for_pods"]
    assert (room["service"], room["pods"], room["connections"]) == ("shop", 1, PER_POD)
    # Of what is free, the workers that run may still take seven each.
    assert room["more"] == (server["headroom"]["free"] - (PER_POD - WORKERS)) // PER_POD
    assert room["more"] > 0
    assert f"{room['more']} more pod" in page
    told = re.findall(r"^poolscope_room_for_pods\{(.*)\} (\S+)$", metrics, re.MULTILINE)
    assert len(told) == 1
    assert 'service_name="shop"' in told[0][0]
    assert float(told[0][1]) == room["more"]
