"""No alert fires and no message comes during healthy traffic; `make soak` plays 30 minutes of it.

It runs at the true pace. In a short run, every duration of the rules and of Alertmanager's example
is divided by 30: 45 s stand for 22 minutes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from poolscope_alerts.__main__ import ABSENT, FOLDER, RULES
from poolscope_alerts.__main__ import main as write_rules
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.soak import LENGTH_S, a_soak_exporter, check_soak, play_soak
from support.exporter.exporter_process import ExporterProcess
from support.prometheus.alertmanager import Alertmanager, an_alertmanager, require_alertmanager
from support.prometheus.paced_alertmanager import paced
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus, scraping
from support.prometheus.webhook import Webhook, a_webhook

LONG_S = 600
PACE = 1 if LENGTH_S >= LONG_S else 30
OF_SETTINGS = {"PoolMisconfigured"}
"""Judges how pools are set up, whatever their traffic: the app leaves most at their defaults."""


class Watch(NamedTuple):
    """What evaluates the rules, and what receives the messages."""

    prometheus: Prometheus
    webhook: Webhook


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(port=held_port(), settings={"max_connections": "200"}) as server:
        yield server


@pytest.fixture
def exporter(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[ExporterProcess]:
    with a_soak_exporter(server, tmp_path) as exporter:
        yield exporter


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with a_webhook() as webhook:
        yield webhook


@pytest.fixture
def alertmanager(webhook: Webhook, tmp_path: Path) -> Iterator[Alertmanager]:
    require_alertmanager()
    example = tmp_path / "alertmanager.yaml"
    example.write_text(paced(FOLDER / "alertmanager.yaml", PACE, webhook.url), encoding="utf-8")
    with an_alertmanager(example, tmp_path) as manager:
        yield manager


@pytest.fixture
def watch(
    exporter: ExporterProcess, webhook: Webhook, alertmanager: Alertmanager, tmp_path: Path
) -> Iterator[Watch]:
    require_prometheus()
    assert write_rules(["--out", str(tmp_path), "--pace", str(PACE)]) == 0
    rules = [tmp_path / RULES, tmp_path / ABSENT]
    targets = {"poolscope": urlsplit(exporter.web).netloc}
    with a_prometheus(scraping(targets, rules, alertmanager.address), tmp_path) as prometheus:
        yield Watch(prometheus, webhook)


def test_no_alert_fires_and_no_message_comes_during_healthy_traffic(
    server: EmbeddedPostgres,
    exporter: ExporterProcess,
    watch: Watch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prometheus, webhook = watch
    outcome = play_soak(server, exporter, tmp_path)
    fired = _evaluations(prometheus, "firing")
    with capsys.disabled():
        pending = _evaluations(prometheus, "pending")
        sys.stdout.write(f"\n{outcome.summary}\nalerts that fired: {fired}, pending: {pending}\n")
    check_soak(outcome)
    assert fired.keys() <= OF_SETTINGS, fired
    assert webhook.names("firing") <= OF_SETTINGS, webhook.told
    assert prometheus.broken_rules() == []
    assert prometheus.query("db_client_connection_max"), "Prometheus saw no pool"


def _evaluations(prometheus: Prometheus, state: str) -> dict[str, float]:
    """Return at how many evaluations each alert was in the state, during the whole run."""
    found = prometheus.query(
        f'sum by (alertname) (count_over_time(ALERTS{{alertstate="{state}"}}[1h]))'
    )
    return {labels["alertname"]: count for labels, count in found}
