"""The vmagent of VictoriaMetrics scrapes the exporter by the shipped configuration of Prometheus.

`make test-matrix ROWS=vmagent` names the program by the variable VMAGENT.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until

PROGRAM = os.environ.get("VMAGENT")
SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml"
NOWHERE = "http://127.0.0.1:1/write"
WITHIN_S = 60.0

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="VMAGENT names no program")


@pytest.fixture
def exporter(postgres: EmbeddedPostgres) -> Iterator[ExporterProcess]:
    with ExporterProcess("--poll-interval=0.3", "--dsn", postgres.dsn) as running:
        assert wait_until(running.is_up, WITHIN_S), running.log
        yield running


@pytest.fixture
def url(exporter: ExporterProcess, tmp_path: Path) -> Iterator[str]:
    """Yield the address of a vmagent that scrapes the exporter each second."""
    shipped = yaml.safe_load(SHIPPED.read_text())
    [job] = [each for each in shipped["scrape_configs"] if each["job_name"] == "poolscope"]
    job |= {"static_configs": [{"targets": [exporter.web.removeprefix("http://")]}]}
    file, port = tmp_path / "scrape.yml", held_port()
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    command = [
        str(PROGRAM), f"-promscrape.config={file}", f"-remoteWrite.url={NOWHERE}",
        f"-remoteWrite.tmpDataPath={tmp_path / 'queue'}", f"-httpListenAddr={HOST}:{port}",
    ]  # fmt: skip
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


def targets(url: str) -> list[dict[str, Any]]:
    try:
        answer = httpx.get(f"{url}/api/v1/targets", trust_env=False)
    except httpx.TransportError:
        return []
    return list(answer.json()["data"]["activeTargets"])


def test_the_target_is_up_and_no_sample_is_lost(exporter: ExporterProcess, url: str) -> None:
    def is_up() -> bool:
        return [each["health"] for each in targets(url)] == ["up"]

    assert wait_until(is_up, WITHIN_S), targets(url)
    # A series that is new comes with the next scrape.
    assert wait_until(lambda: samples(exporter) == targets(url)[0]["lastSamplesScraped"], WITHIN_S)
    [target] = targets(url)
    assert (target["health"], target["lastError"]) == ("up", "")


def samples(exporter: ExporterProcess) -> int:
    text = exporter.get("/metrics").text
    return sum(len(each.samples) for each in text_string_to_metric_families(text))
