"""An app leaks, fills its pool and is mended: who is told what, by whole processes.

The app, its database, the exporter, Prometheus, Alertmanager and a webhook are real. Rules and
Alertmanager's example are the shipped ones with every duration divided by 10.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from poolscope_alerts.__main__ import FOLDER, RULES
from poolscope_alerts.__main__ import main as write_rules
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.applications.shop import Shop
from support.exporter.crowd import a_crowd
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until
from support.prometheus.alertmanager import Alertmanager, an_alertmanager, require_alertmanager
from support.prometheus.paced_alertmanager import paced
from support.prometheus.server import Prometheus, a_prometheus, require_prometheus, scraping
from support.prometheus.webhook import Message, Webhook, a_webhook

PACE = 10
"""PoolFull waits 6 s here. Before that, PoolExhausted must be seen: a push, a scrape and two
evaluations take 3 s, and as long at any pace."""

EVERY_S = 0.5
"""Between two scrapes and two evaluations."""

MOST_S = 2700 / PACE
STEP_S = 900 / PACE
LEAKS = 4
"""Less than half of the pool: the exhaustion is a page besides the leak."""

USERS = 36
LESSER = {"PoolFull", "PoolNearExhaustion", "PoolCheckoutSlow", "PoolQueueLong"}
LONG_HEALTHY_S = 360 // PACE
"""Six minutes at the shipped pace."""


@dataclass
class Watch:
    """Everything that watches the shop, and how long each step took."""

    exporter: ExporterProcess
    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: Webhook
    took_s: dict[str, float] = field(default_factory=dict)

    def told(self, step: str, name: str, status: str, since: float) -> Message:
        message = self.webhook.first(name, status, STEP_S, since)
        self.took_s[step] = message.at - since
        return message

    def has(self, expression: str) -> Callable[[], bool]:
        return lambda: bool(self.prometheus.query(expression))


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(port=held_port()) as server:
        yield server


@pytest.fixture
def watch(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Watch]:
    require_alertmanager()
    require_prometheus()
    assert write_rules(["--out", str(tmp_path), "--pace", str(PACE)]) == 0
    with ExitStack() as stack:
        webhook = stack.enter_context(a_webhook())
        example = tmp_path / "alertmanager.yaml"
        example.write_text(paced(FOLDER / "alertmanager.yaml", PACE, webhook.url), encoding="utf-8")
        manager = stack.enter_context(an_alertmanager(example, tmp_path))
        exporter = stack.enter_context(
            ExporterProcess(f"--dsn={server.dsn}", "--poll-interval=0.5")
        )
        target = {"poolscope": urlsplit(exporter.web).netloc}
        configuration = scraping(
            target, [tmp_path / RULES], manager.address, interval=f"{EVERY_S * 1000:.0f}ms"
        )
        prometheus = stack.enter_context(a_prometheus(configuration, tmp_path))
        yield Watch(exporter, prometheus, manager, webhook)


def leak_is_told_with_all_that_is_needed(message: Message, exporter: ExporterProcess) -> None:
    assert (message.receiver, message.labels["loss"]) == ("team", "connections")
    assert message.labels["http_route"] == "/orders/{order_id}/export"
    assert message.labels["poolscope_call_site"].startswith("support/applications/order_app.py:")
    assert message.labels["poolscope_evidence"] == "request_finished"
    assert "1 connection(s) taken on route" in message.annotations["description"]
    assert message.labels["poolscope_call_site"] in message.annotations["description"]
    runbook = message.annotations["runbook_url"]
    assert (FOLDER / "runbooks" / runbook.rpartition("/")[2]).is_file()
    variables = parse_qs(urlsplit(message.annotations["dashboard_url"]).query)
    assert variables == {
        "var-service": ["shop"],
        "var-pool": [message.labels["db_client_connection_pool_name"]],
        "var-process": [message.labels["service_instance_id"]],
    }


def test_a_leak_and_an_exhausted_pool_are_told_once_and_end_when_the_app_is_mended(
    server: EmbeddedPostgres, watch: Watch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with Shop(server, watch.exporter.otlp, tmp_path / "leaky.log", is_mended=False) as shop:
        stays_silent_while_all_is_well(shop, watch)

        fault = time.monotonic()
        shop.export(1)
        leak = watch.told("leak told", "PoolLeak", "firing", fault)
        leak_is_told_with_all_that_is_needed(leak, watch.exporter)

        shop.export(LEAKS - 1)
        with a_crowd(f"{shop.url}/reports", USERS):
            fault = time.monotonic()
            full = watch.told("exhaustion told", "PoolExhausted", "firing", fault)
            assert (full.receiver, full.labels["severity"]) == ("pager", "critical")
            assert "all 10 connections are checked out" in full.annotations["description"]
            lesser_alerts_do_not_fire(watch)

    mended = time.monotonic()
    with Shop(server, watch.exporter.otlp, tmp_path / "mended.log", is_mended=True) as shop:
        shop.export(LEAKS)
        with a_crowd(f"{shop.url}/orders/1", 2, pause_s=0.1):
            watch.told("leak resolved", "PoolLeak", "resolved", mended)
            watch.told("exhaustion resolved", "PoolExhausted", "resolved", mended)
            assert wait_until(lambda: not watch.prometheus.firing(), STEP_S)
    nobody_was_told_anything_else(watch)
    watch.took_s["all"] = time.monotonic() - began
    with capsys.disabled():
        steps = (f"{step}: {took:.1f} s" for step, took in watch.took_s.items())
        sys.stdout.write("\n".join(("", *steps, "")))
    assert watch.took_s["all"] < MOST_S


def stays_silent_while_all_is_well(shop: Shop, watch: Watch) -> None:
    with a_crowd(f"{shop.url}/orders/1", 2, pause_s=0.1):
        least = (LONG_HEALTHY_S - 2) / EVERY_S
        enough = f"count_over_time(db_client_connection_max[{LONG_HEALTHY_S}s]) > {least:g}"
        assert wait_until(watch.has(enough), STEP_S), watch.prometheus.log
    assert watch.prometheus.firing() == set()
    assert watch.webhook.told == []


def lesser_alerts_do_not_fire(watch: Watch) -> None:
    """Look for twice as long as the slowest of them needs to fire."""
    looked_s = 2 * LONG_HEALTHY_S
    lesser = "|".join(LESSER)
    ever = f'ALERTS{{alertstate="firing",alertname=~"{lesser}"}}[{looked_s}s]'
    time.sleep(looked_s)
    assert watch.prometheus.query(f"count_over_time({ever})") == []


def nobody_was_told_anything_else(watch: Watch) -> None:
    expected = {"PoolLeak", "PoolExhausted"}
    assert watch.webhook.names("firing") == expected
    assert watch.webhook.names("resolved") == expected
    assert watch.prometheus.broken_rules() == []
