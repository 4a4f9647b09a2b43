"""Whichever way an application's series take to Prometheus, the shipped rules read them alike."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from poolscope_alerts.__main__ import RULES
from poolscope_alerts.__main__ import main as write_rules
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.applications.shop import Shop
from support.exporter.crowd import a_crowd
from support.exporter.transports import (
    Series,
    Watched,
    Way,
    identity,
    over_a_scraped_collector,
    over_remote_write,
    over_the_otlp_receiver,
    over_two_tiers,
)
from support.processes.child_processes import wait_until
from support.prometheus.application_series import is_of_applications
from support.prometheus.collector import needs_collector
from support.prometheus.otlp_backend import needs_otlp_prometheus
from support.prometheus.server import require_prometheus

CONNECTIONS = 10
PACE = 30
STEP_S = 40
WAYS = [
    pytest.param(over_a_scraped_collector, marks=needs_collector),
    pytest.param(over_remote_write, marks=needs_collector),
    pytest.param(over_two_tiers, marks=needs_collector),
    pytest.param(over_the_otlp_receiver, marks=needs_otlp_prometheus),
]


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(port=held_port()) as server:
        yield server


def exposed(watched: Watched) -> dict[str, tuple[frozenset[str], set[Series]]]:
    """Return, by name, the labels and the series of applications at the exporter's `/metrics`."""
    found: dict[str, tuple[frozenset[str], set[Series]]] = {}
    for family in text_string_to_metric_families(watched.exporter.get("/metrics").text):
        for sample in family.samples:
            if is_of_applications(sample.name):
                names = frozenset(sample.labels)
                series = found.setdefault(sample.name, (names, set()))[1]
                series.add(identity(sample.labels, names))
    return found


def differing(watched: Watched) -> list[str]:
    """Return the names whose series Prometheus has not, or has otherwise."""
    return [
        name
        for name, (labels, series) in exposed(watched).items()
        if {identity(each, labels) for each in watched.prometheus.series(name)} != series
    ]


@pytest.mark.parametrize("way", WAYS)
def test_series_and_alerts_are_those_of_the_exporters_own_scrape(
    way: Way, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    require_prometheus()
    assert write_rules(["--out", str(tmp_path), "--pace", str(PACE)]) == 0
    with ExitStack() as stack:
        watched = way(stack, tmp_path, tmp_path / RULES, server.dsn)
        log = tmp_path / "shop.log"
        shop = stack.enter_context(Shop(server, watched.exporter.otlp, log, is_mended=False))
        shop.export(CONNECTIONS)
        stack.enter_context(a_crowd(f"{shop.url}/orders/1", 2))
        # The leak empties the pool, and its alert is the only page of that.
        assert wait_until(lambda: "PoolLeak" in watched.prometheus.firing(), STEP_S)
        assert wait_until(lambda: not differing(watched), STEP_S), differing(watched)
        assert len(exposed(watched)) > 30
        assert watched.prometheus.broken_rules() == []
