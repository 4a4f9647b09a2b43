"""The same dashboards and alerts over OTLP: a Prometheus that is pushed to beside one that scrapes.

One receives the applications' series from the exporter's `--forward-to`, with promoted resource
attributes, and scrapes only what is the exporter's own; the other scrapes all of it.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolscope.catalogue import ROUTE_CHECKOUTS, ROUTE_HELD_TIME, SERVICE_INSTANCE_ID
from poolscope_exporter.core.own_metrics import OWN_METRICS
from poolscope_exporter.core.prometheus_names import label_name, metric_name
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.demo.processes import ChildProcess
from poolscope_generators.incident.alarms import expressions
from poolscope_generators.incident.dashboards import FOLDER, Dashboard, Json, Range, read_dashboards
from poolscope_generators.incident.prometheus import Prometheus, a_prometheus
from poolscope_generators.incident.traffic import Traffic
from poolscope_generators.ports import held_port, held_ports
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import make_role, run_sql
from support.prometheus.otlp_backend import OTLP_PROMETHEUS, needs_otlp_prometheus
from support.prometheus.promql_names import known_series

pytestmark = needs_otlp_prometheus

SCRAPE_S = 2
TOLD_S = 75
LASTING_S = 5 * SCRAPE_S
"""Longer than a push and a scrape together may miss."""
PROMOTED = ["service.name", "service.namespace", "service.instance.id"]
OWN = {metric.name for metric in OWN_METRICS}
OF_APPLICATIONS = sorted(name for name in known_series() if name not in OWN and ":" not in name)
SUMMED = {
    metric_name(each.name, each.kind, each.unit) for each in (ROUTE_CHECKOUTS, ROUTE_HELD_TIME)
}
"""Of a service on /metrics, of a process by OTLP: every query of ours sums them."""

TRANSPORT = {"job", "instance", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}
ONLY_WHERE = re.compile(r"\s*> 0\s*$")


@dataclass(frozen=True, slots=True)
class Both:
    """The two, and when the story was told."""

    scraped: Prometheus
    pushed: Prometheus
    start: float
    end: float

    def boards(self, prometheus: Prometheus) -> list[Dashboard]:
        time_range = Range(self.start, self.end, SCRAPE_S)
        chosen = {"service": ("shop",), "pool": ("shop",)}
        return read_dashboards(prometheus, time_range, chosen=chosen)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    assert OTLP_PROMETHEUS is not None
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("scraped", "pushed", "logs")]
        server = stack.enter_context(EmbeddedPostgres())
        port, web = held_ports(2)
        pushed = stack.enter_context(
            a_prometheus(
                {**_scraping(web, drop=True), "otlp": {"promote_resource_attributes": PROMOTED}},
                folders[1],
                "--web.enable-otlp-receiver",
                program=OTLP_PROMETHEUS,
                port=port,
            )
        )
        monitor = make_role(server, "poolscope", member_of=("pg_read_all_stats",))
        exporter = stack.enter_context(
            ExporterProcess(
                f"--listen={HOST}:{web}",
                f"--dsn={monitor}",
                "--poll-interval=1",
                f"--forward-to={pushed.url}/api/v1/otlp",
            )
        )
        scraped = stack.enter_context(
            a_prometheus(_scraping(web), folders[0], program=OTLP_PROMETHEUS)
        )
        start = time.time()  # noqa: TID251 - samples have wall-clock times
        end = asyncio.run(_tell(server, exporter, folders[2])) - 2 * SCRAPE_S
        yield Both(scraped, pushed, start, end)


def _scraping(port: int, drop: bool = False) -> Json:
    names = "|".join(OF_APPLICATIONS)
    relabel = [{"source_labels": ["__name__"], "regex": names, "action": "drop"}] if drop else []
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s"},
        "scrape_configs": [
            {
                "job_name": "poolscope",
                "static_configs": [{"targets": [f"{HOST}:{port}"]}],
                "metric_relabel_configs": relabel,
            }
        ],
    }


async def _tell(server: EmbeddedPostgres, exporter: ExporterProcess, folder: Path) -> float:
    """Let a process leak until its pool is empty, and callers wait and time out.

    Return when it was told, in seconds since the epoch. The process ends after that: what it pushes
    last stays in a Prometheus that is pushed to, and goes at once where it is scraped.
    """
    run_sql(server.dsn, "CREATE DATABASE shop")
    run_sql(server.dsn_for("postgres", database="shop"), "CREATE SCHEMA poolscope_demo")
    port = held_port()
    arguments = ["uvicorn", "poolscope_exporter.demo.sample_app:app", "--log-level=warning"]
    environment = {
        "DEMO_DATABASE_URL": server.dsn_for("postgres", database="shop").replace(
            "postgresql://", "postgresql+asyncpg://", 1
        ),
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=demo,service.instance.id=shop-1",
        "POOLSCOPE_ENDPOINT": exporter.otlp,
        "POOLSCOPE_PUSH_INTERVAL_S": "1",
    }
    shop = ChildProcess(
        "shop", [*arguments, f"--host={HOST}", f"--port={port}"], folder, environment
    )
    with shop:
        url = f"http://{HOST}:{port}"
        await shop.wait_until_ready(f"{url}/orders/1")
        async with asyncio.TaskGroup() as tasks:
            traffic = Traffic(tasks)
            traffic.steady(url, "/orders/{n}", 0.2)
            traffic.steady(url, "/reports", 9)
            traffic.sick(url, "/orders/{n}/export", 4)
            await asyncio.sleep(TOLD_S)
            traffic.stop()
            told = time.time()  # noqa: TID251 - as above
        await traffic.close()
    return told


def series(prometheus: Prometheus, name: str, both: Both) -> set[tuple[tuple[str, str], ...]]:
    """Return the labels of the series, without those that only say how they came."""
    found = prometheus.series(name, both.start, both.end)
    return {tuple(sorted(_identity(each).items())) for each in found}


def _identity(labels: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in labels.items() if name not in TRANSPORT}
    if labels.get("__name__") in SUMMED:
        kept.pop(label_name(SERVICE_INSTANCE_ID), None)
    if "le" in kept:  # written as 1.0 or as 1, by transport
        kept["le"] = str(float(kept["le"]))
    return kept


def test_the_series_of_applications_have_the_same_names_and_labels(both: Both) -> None:
    differing = {
        name: (sorted(there - here), sorted(here - there))
        for name in OF_APPLICATIONS
        if (here := series(both.pushed, name, both)) != (there := series(both.scraped, name, both))
    }
    assert differing == {}


def test_every_panel_that_shows_something_by_scrapes_does_so_by_pushes(both: Both) -> None:
    silent = [
        (board.uid, panel.title, target["expr"])
        for board, other in zip(both.boards(both.scraped), both.boards(both.pushed), strict=True)
        for panel in board.panels()
        for target in panel.targets
        if board.ask(target) and not other.ask(target)
    ]
    assert silent == []


def test_the_dashboards_show_the_incident(both: Both) -> None:
    """Nothing would be silent, where nothing was there to be shown."""
    (pool,) = (each for each in both.boards(both.pushed) if each.uid == "poolscope-pool")
    shown = [p.title for p in pool.panels() if any(pool.ask(each) for each in p.targets)]
    assert len(shown) > 30
    assert FOLDER.exists()


def test_every_alert_that_fires_by_scrapes_does_so_by_pushes(both: Both) -> None:
    """Who fires for some seconds in one fires in the other: a moment may fall between two looks."""
    by_scrapes, by_pushes = seconds_firing(both.scraped, both), seconds_firing(both.pushed, both)
    assert any(name == "PoolLeak" and ("loss", "pool") in told for name, told, _ in by_scrapes)
    assert [each for each in lasting(by_scrapes) if each not in by_pushes] == []
    assert [each for each in lasting(by_pushes) if each not in by_scrapes] == []


Firing = tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""An alert: its name, the labels of its rule, the labels of what it fires for."""


def seconds_firing(prometheus: Prometheus, both: Both) -> dict[Firing, float]:
    """Return how long each alert's expression held, in seconds."""
    return {
        (
            alert.name,
            tuple(sorted(alert.labels.items())),
            tuple(sorted(_identity(each["metric"]).items())),
        ): len(each["values"]) * SCRAPE_S
        for alert, expression in expressions()
        for each in prometheus.over_time(expression, both.start, both.end, SCRAPE_S)
    }


def lasting(firing: Mapping[Firing, float]) -> list[Firing]:
    return sorted(each for each, seconds in firing.items() if seconds >= LASTING_S)
