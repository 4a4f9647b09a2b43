"""Pools through an application's own OTLPMetricExporter to a Collector, and verdicts beside them.

The application is the program of docs/opentelemetry.md. A second process of it leaves the
publishing to the exporter: names and labels must be the same by both ways.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from poolscope import catalogue as wire
from poolscope_alerts.__main__ import RULES
from poolscope_alerts.__main__ import main as write_rules
from poolscope_exporter.core.prometheus_names import label_name, metric_name
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.documents.markdown import ROOT, Mark, blocks
from support.exporter.exporter_process import ExporterProcess, clean_environment
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until
from support.prometheus.application_series import OF_EXPORTER, is_of_applications
from support.prometheus.collector import a_collector, needs_collector
from support.prometheus.server import a_prometheus, require_prometheus, scraping

pytestmark = needs_collector

BY_PROVIDER, BY_EXPORTER = "shop", "shop-by-exporter"
ORDERS = 5
STEP_S = 60
PACE = 30
INSTANCE = label_name(wire.SERVICE_INSTANCE_ID)
ROUTES = tuple(
    metric_name(m.name, m.kind, m.unit) for m in (wire.ROUTE_CHECKOUTS, wire.ROUTE_HELD_TIME)
)
"""Of a service on /metrics, of a process by OTLP: every query of ours sums them."""

QUEUE = metric_name(wire.QUEUE_TIME.name, wire.QUEUE_TIME.kind, wire.QUEUE_TIME.unit)
"""Nobody waits here, so the SDK has no histogram."""

OF_TRANSPORT = {
    "job", "instance", "host_name", "otel_scope_name", "otel_scope_version",
    "otel_scope_schema_url",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Published:
    """What both had at the same time, once the leak was known; `checkouts` are those of the API.

    `targets` are the addresses that Prometheus scrapes, by job.
    """

    collector: list[Sample]
    exporter: list[Sample]
    checkouts: list[dict[str, Any]]
    targets: Mapping[str, str]

    def held(self, service: str) -> dict[str, Any]:
        """Return the one held checkout of a service."""
        (found,) = [each for each in self.checkouts if each["service"] == service]
        return found


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("provider")
    with EmbeddedPostgres() as server, a_collector("backend-scraped.yaml", folder) as collector:
        run_sql(server.dsn, "CREATE ROLE shop LOGIN")
        run_sql(server.dsn, "CREATE DATABASE shop OWNER shop")
        otlp = f"http://{collector.otlp}"
        # It forwards to the same Collector: what a provider publishes must not arrive there twice.
        options = (f"--dsn={server.dsn}", "--poll-interval=0.5", f"--forward-to={otlp}")
        with ExitStack() as stack:
            exporter = stack.enter_context(ExporterProcess(*options))
            for service, publisher in ((BY_PROVIDER, "provider"), (BY_EXPORTER, "exporter")):
                stack.enter_context(
                    an_app(
                        folder, server, exporter=exporter.otlp, collector=otlp,
                        service=service, publisher=publisher,
                    )
                )  # fmt: skip

            def read() -> Published:
                metrics = f"http://{collector.metrics}/metrics"
                return Published(
                    samples(httpx.get(metrics, trust_env=False).text),
                    samples(exporter.get("/metrics").text),
                    exporter.checkouts(),
                    {"collector": collector.metrics, "poolscope": urlsplit(exporter.web).netloc},
                )

            def is_complete() -> bool:
                known = [each["verdict"] for each in read().checkouts]
                arrived = read().collector
                return known == ["leaked"] * 2 and all(
                    set(values(arrived, "poolscope_checkins_total", service)) == {ORDERS}
                    for service in (BY_PROVIDER, BY_EXPORTER)
                )

            assert wait_until(is_complete, STEP_S), (exporter.log, read().checkouts)
            yield read()


@contextmanager
def an_app(
    folder: Path,
    server: EmbeddedPostgres,
    *,
    exporter: str,
    collector: str,
    service: str,
    publisher: str,
) -> Iterator[None]:
    """Run the documented program, after some orders and one export that keeps its connection."""
    (program,) = [
        each for each in blocks(ROOT / "docs" / "opentelemetry.md") if each.mark is Mark.FILE
    ]
    address = f"{HOST}:{server.port}"
    (folder / program.argument).write_text(program.text.replace("127.0.0.1:5432", address))
    port, log = held_port(), folder / f"{service}.log"
    environment = clean_environment(
        OTEL_SERVICE_NAME=service,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector,
        OTEL_METRIC_EXPORT_INTERVAL="500",
        POOLSCOPE_METRICS=publisher,
        POOLSCOPE_ENDPOINT=exporter,
        POOLSCOPE_PUSH_INTERVAL_S="0.5",
        POOLSCOPE_HELD_AFTER_S="0.5",
        PYTHONPATH=os.environ.get("PYTHONPATH", ""),
    )
    command = [
        sys.executable, "-m", "uvicorn", "shop:app", f"--host={HOST}", f"--port={port}",
        "--log-level=warning",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            assert wait_until(lambda: is_up(client), STEP_S), log.read_text()
            paths = [*(f"/orders/{number}" for number in range(ORDERS)), "/export"]
            assert [client.get(path).status_code for path in paths] == [200] * len(paths)
        yield
    finally:
        process.kill()
        process.wait()


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/openapi.json").is_success
    except httpx.HTTPError:
        return False


def samples(text: str) -> list[Sample]:
    return [each for family in text_string_to_metric_families(text) for each in family.samples]


def of_application(found: list[Sample], service: str) -> list[Sample]:
    """Return a service's samples of what applications report, without those of a queue."""
    return [
        each
        for each in found
        if each.labels.get("service_name") == service
        and is_of_applications(each.name)
        and not each.name.startswith(QUEUE)
    ]


def values(found: list[Sample], name: str, service: str, **labels: str) -> list[float]:
    return [
        each.value
        for each in of_application(found, service)
        if each.name == name and labels.items() <= each.labels.items()
    ]


def label_names(labels: Mapping[str, str], name: str) -> frozenset[str]:
    """Return the names of the labels by which a series is identified, whichever way it came."""
    dropped = OF_TRANSPORT | ({INSTANCE} if name in ROUTES else set())
    return frozenset(label for label, value in labels.items() if value and label not in dropped)


def shapes(found: list[Sample], service: str) -> set[tuple[str, frozenset[str]]]:
    return {(s.name, label_names(s.labels, s.name)) for s in of_application(found, service)}


def test_values_of_the_pool_are_those_of_the_app(published: Published) -> None:
    def of_pool(name: str, **labels: str) -> list[float]:
        return values(published.collector, name, BY_PROVIDER, **labels)

    state = label_name(wire.CONNECTION_STATE)
    assert of_pool("db_client_connection_count", **{state: "used"}) == [1]
    assert of_pool("db_client_connection_count", **{state: "idle"}) == [0]
    assert of_pool("db_client_connection_max") == [10]
    assert of_pool("poolscope_checkouts_total") == [ORDERS + 1]
    assert of_pool("db_client_connection_wait_time_seconds_count") == [ORDERS + 1]
    assert of_pool("db_client_connection_use_time_seconds_count") == [ORDERS]
    route = "poolscope_route_checkouts_total"
    assert of_pool(route, http_route="/orders/{order_id}") == [ORDERS]
    assert of_pool(route, http_route="/export") == []  # it has not ended
    assert of_pool("poolscope_leaks_total", http_route="/export") == [1]


def test_names_and_labels_are_those_of_the_exporters_metrics(published: Published) -> None:
    by_provider = shapes(published.collector, BY_PROVIDER)
    assert by_provider == shapes(published.exporter, BY_EXPORTER)
    assert len({name for name, _ in by_provider}) > 30


def test_exporter_has_the_verdict_under_the_same_instance(published: Published) -> None:
    instances = {each.labels[INSTANCE] for each in of_application(published.collector, BY_PROVIDER)}
    held = published.held(BY_PROVIDER)
    assert {held["service_instance_id"]} == instances
    assert (held["verdict"], held["route"], held["link"]) == ("leaked", "/export", "address")
    (series,) = [
        each
        for each in published.exporter
        if each.name == "poolscope_held_checkouts" and each.labels["service_name"] == BY_PROVIDER
        and each.value
    ]  # fmt: skip
    assert series.labels[INSTANCE] == held["service_instance_id"]
    assert (series.labels["verdict"], series.value) == ("leaked", 1)


def test_no_series_is_published_twice(published: Published) -> None:
    assert of_application(published.exporter, BY_PROVIDER) == []
    for service in (BY_PROVIDER, BY_EXPORTER):
        series = Counter(
            (s.name, *sorted((k, v) for k, v in s.labels.items() if k not in OF_TRANSPORT))
            for s in of_application(published.collector, service)
        )
        assert [each for each, count in series.items() if count > 1] == []


def test_shipped_alert_of_the_leak_fires_with_both_scraped(
    published: Published, tmp_path: Path
) -> None:
    require_prometheus()
    assert write_rules(["--out", str(tmp_path), "--pace", str(PACE)]) == 0
    configuration = scraping(published.targets, [tmp_path / RULES])

    with a_prometheus(configuration, tmp_path) as prometheus:

        def leaks() -> list[dict[str, str]]:
            alerts = [labels for labels, _ in prometheus.firing_alerts()]
            return [
                labels
                for labels in alerts
                if labels["alertname"] == "PoolLeak" and labels["service_name"] == BY_PROVIDER
            ]

        assert wait_until(lambda: bool(leaks()), STEP_S)
        (leak,) = leaks()
        assert (leak["http_route"], leak[INSTANCE]) == (
            "/export",
            published.held(BY_PROVIDER)["service_instance_id"],
        )
        assert prometheus.broken_rules() == []


def test_collector_has_nothing_that_is_for_the_exporter_alone(published: Published) -> None:
    assert {each.name for each in published.exporter} & OF_EXPORTER
    assert not {each.name for each in published.collector} & OF_EXPORTER
