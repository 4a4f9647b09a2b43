"""Senders of other languages, with their published packages: what the exporter reads of each.

Each fills a pool of five on a real PostgreSQL, and two more callers wait with a short time-out.
With `SENDERS_RESULTS`, the results are written there for docs/compatibility.md.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until
from support.processes.senders import (
    BUILT,
    SOURCES,
    a_sender,
    go_command,
    java_command,
    node_command,
    python_command,
    require_senders,
)

FULL: Final = 5
WAITERS: Final = 2
STARTS_WITHIN_S: Final = 240.0
"""A Java agent takes ten seconds of processor time to start, and more on a busy machine."""

_ONLY_METRICS: Final = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
_AGENT: Final = "2.33.1"
_OLD_AGENT: Final = "2.11.0"
_NEW_NAMES: Final = {"OTEL_SEMCONV_STABILITY_OPT_IN": "database"}
_DELTAS: Final = {
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": (
        "BASE2_EXPONENTIAL_BUCKET_HISTOGRAM"
    ),
}


@dataclass(frozen=True)
class SenderCase:
    """One sender, and what must be shown of its full pool; None is what it does not send.

    Without `counts_at_standstill`, it counts waiting callers only when a connection comes or goes.
    """

    name: str
    service: str
    version: str
    command: list[str]
    pool: str
    diagnosis: str
    max: int | None = FULL
    counts_waiters: bool = True
    counts_timeouts: bool = True
    counts_at_standstill: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_url: bool = False


def _go_version(module: str) -> str:
    text = (SOURCES / "go" / "go.mod").read_text()
    return _found(rf"{re.escape(module)} v(\S+)", text)


def _maven_version(artifact: str) -> str:
    text = (SOURCES / "java" / "pom.xml").read_text()
    return _found(rf"<artifactId>{artifact}</artifactId>\s*<version>([^<]+)", text)


def _node_version(package: str) -> str:
    dependencies = json.loads((SOURCES / "node" / "package.json").read_text())["dependencies"]
    return str(dependencies[package])


def _found(pattern: str, text: str) -> str:
    [found] = re.findall(pattern, text)
    return str(found)


CASES: Final = [
    SenderCase(
        "Python, `opentelemetry-instrumentation-sqlalchemy`",
        "python-sqlalchemy",
        version("opentelemetry-instrumentation-sqlalchemy"),
        python_command(),
        pool="postgresql+psycopg://{server}/postgres",
        diagnosis="unknown",
        max=None,
        counts_waiters=False,
        counts_timeouts=False,
    ),
    SenderCase(
        "Java agent with HikariCP",
        "java-agent",
        _AGENT,
        java_command(_AGENT),
        pool="orders",
        diagnosis="full",
    ),
    SenderCase(
        "Java agent with HikariCP, new names",
        "java-agent-new",
        _AGENT,
        java_command(_AGENT),
        pool="orders",
        diagnosis="full",
        environment=_NEW_NAMES | _ONLY_METRICS,
    ),
    SenderCase(
        "Java agent with HikariCP, both names",
        "java-agent-dup",
        _AGENT,
        java_command(_AGENT),
        pool="orders",
        diagnosis="full",
        environment={"OTEL_SEMCONV_STABILITY_OPT_IN": "database/dup", **_ONLY_METRICS},
    ),
    SenderCase(
        "Java agent with HikariCP, new names, deltas and exponential histograms",
        "java-agent-deltas",
        _AGENT,
        java_command(_AGENT),
        pool="orders",
        diagnosis="full",
        environment=_NEW_NAMES | _DELTAS | _ONLY_METRICS,
    ),
    SenderCase(
        "Java agent with HikariCP",
        "java-agent-old-version-old-names",
        _OLD_AGENT,
        java_command(_OLD_AGENT),
        pool="orders",
        diagnosis="full",
        environment=_ONLY_METRICS,
    ),
    SenderCase(
        "Java agent with HikariCP, new names",
        "java-agent-old-version",
        _OLD_AGENT,
        java_command(_OLD_AGENT),
        pool="orders",
        diagnosis="full",
        environment=_NEW_NAMES | _ONLY_METRICS,
    ),
    SenderCase(
        "Micrometer with HikariCP, as in Spring Boot",
        "java-micrometer",
        _maven_version("micrometer-registry-otlp"),
        java_command(),
        pool="orders",
        diagnosis="full",
        needs_url=True,
    ),
    SenderCase(
        "Node.js, `@opentelemetry/instrumentation-pg`",
        "node-pg",
        _node_version("@opentelemetry/instrumentation-pg"),
        node_command(),
        pool="{server}/postgres",
        diagnosis="full",
        counts_timeouts=False,
        counts_at_standstill=False,
    ),
    SenderCase(
        "Node.js, `@opentelemetry/instrumentation-pg`, as JSON",
        "node-pg-json",
        _node_version("@opentelemetry/instrumentation-pg"),
        node_command(),
        pool="{server}/postgres",
        diagnosis="full",
        counts_timeouts=False,
        counts_at_standstill=False,
        environment={"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
    ),
    SenderCase(
        "Go, `database/sql` with XSAM/otelsql",
        "go-sql",
        _go_version("github.com/XSAM/otelsql"),
        go_command("sql"),
        pool="database/sql",
        diagnosis="full",
        counts_waiters=False,
        counts_timeouts=False,
    ),
    SenderCase(
        "Go, `pgxpool` with exaring/otelpgx",
        "go-pgxpool",
        _go_version("github.com/exaring/otelpgx"),
        go_command("pgxpool"),
        pool="{server}/postgres",
        diagnosis="full",
        counts_waiters=False,
        counts_timeouts=False,
    ),
]


@pytest.fixture(scope="module")
def exporter() -> Iterator[ExporterProcess]:
    with ExporterProcess() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings={"max_connections": "200"}) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.service)
def test_full_pool_of_a_sender_is_shown_with_its_numbers(
    case: SenderCase, exporter: ExporterProcess, server: EmbeddedPostgres
) -> None:
    require_senders()
    command = [*case.command, "127.0.0.1", str(server.port), str(FULL), str(WAITERS)]
    if case.needs_url:
        command.append(f"{exporter.otlp}/v1/metrics")
    with a_sender(command, exporter.otlp, case.service, case.environment) as output:
        has_come = wait_until(lambda: is_told(case, exporter), STARTS_WITHIN_S)
        shown = [pools_of(exporter, case.service), output.read_text(errors="replace")[-2_000:]]
        assert has_come, shown
        [pool] = pools_of(exporter, case.service)
        rejected = [row for row in rejected_of(exporter) if row["sender"] == case.service]
    assert pool["pool"] == case.pool.format(server=f"127.0.0.1:{server.port}")
    assert (pool["used"], pool["idle"], pool["max"]) == (FULL, 0, case.max)
    assert (pool["pending"] is not None) == case.counts_waiters
    assert (pool["timeouts_total"] is not None) == case.counts_timeouts
    assert pool["diagnosis"] == case.diagnosis
    assert rejected == []
    record(case, pool)


def test_two_processes_of_one_service_are_kept_apart(
    exporter: ExporterProcess, server: EmbeddedPostgres
) -> None:
    """They run on one host and in one folder: the agent gives each an instance of its own."""
    require_senders()
    service, environment = "java-agent-twice", _NEW_NAMES | _ONLY_METRICS
    command = [*java_command(_AGENT), "127.0.0.1", str(server.port), str(FULL), "0"]

    def instances() -> set[str]:
        pools = pools_of(exporter, service)
        return {
            pool["service_instance_id"]
            for pool in pools
            if (pool["used"], pool["max"]) == (FULL, FULL)
        }

    with (
        a_sender(command, exporter.otlp, service, environment),
        a_sender(command, exporter.otlp, service, environment),
    ):
        assert wait_until(lambda: len(instances()) == 2, STARTS_WITHIN_S), instances()
        assert len(pools_of(exporter, service)) == 2


def is_told(case: SenderCase, exporter: ExporterProcess) -> bool:
    pools = pools_of(exporter, case.service)
    if len(pools) != 1 or pools[0]["used"] != FULL or pools[0]["diagnosis"] != case.diagnosis:
        return False
    is_counted = case.counts_waiters and case.counts_at_standstill
    waits = not is_counted or bool(pools[0]["pending"])
    gave_up = not case.counts_timeouts or bool(pools[0]["timeouts_total"])
    return waits and gave_up


def pools_of(exporter: ExporterProcess, service: str) -> list[dict[str, Any]]:
    pools = exporter.get("/api/v1/pools").json()["pools"]
    return [pool for pool in pools if pool["service"] == service]


def rejected_of(exporter: ExporterProcess) -> list[dict[str, Any]]:
    return list(exporter.get("/api/v1/pools").json()["rejected"])


def record(case: SenderCase, pool: Mapping[str, Any]) -> None:
    """Write the row of a sender, if a folder for the rows is given."""
    if folder := os.environ.get("SENDERS_RESULTS"):
        numbers = {
            name: pool[name] for name in ("used", "idle", "max", "pending", "timeouts_total")
        }
        row = {
            "name": case.name,
            "version": case.version,
            "diagnosis": pool["diagnosis"],
            **numbers,
        }
        position = CASES.index(case)
        file = Path(folder) / f"{position:02}-{case.service}.json"
        file.write_text(json.dumps(row))


def test_recorded_names_are_those_of_the_package() -> None:
    require_senders()
    recorded = json.loads(
        (Path(__file__).parents[1] / "contract" / "semantic_conventions.json").read_text()
    )
    package = BUILT / "node" / "node_modules" / recorded["package"]
    assert json.loads((package / "package.json").read_text())["version"] == recorded["version"]
    for kind, prefix in (("metrics", "METRIC"), ("attributes", "ATTR")):
        text = (package / "dist" / f"experimental_{kind}.cjs").read_text()
        found = re.findall(rf'const {prefix}_\w+ = "(db\.client\.connection[^"]*)"', text)
        assert sorted(set(found)) == recorded[kind]
