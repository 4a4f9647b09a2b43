"""A real Prometheus for tests, from the system's package, on a free port of this machine."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolscope_exporter.demo.ports import HOST
from poolscope_generators.ports import held_port
from support.processes.child_processes import wait_until

PROGRAM = shutil.which("prometheus")


def require_prometheus() -> None:
    """Fail where the package is missing: these tests run where the system's packages are."""
    if PROGRAM is None:
        pytest.fail("needs Prometheus: apt-get install prometheus")


class Prometheus:
    """One Prometheus that is asked over its API."""

    def __init__(self, url: str, pid: int, log: Path) -> None:
        self.url = url
        self.pid = pid
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series that the expression finds now."""
        found = self._get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def series(self, matcher: str) -> list[dict[str, str]]:
        """Return the labels of every series that there is or was."""
        found: list[dict[str, str]] = self._get("series", **{"match[]": matcher})
        return found

    def firing(self) -> set[str]:
        """Return the names of the alerts that are firing, whoever is told of them."""
        return {labels["alertname"] for labels, _ in self.firing_alerts()}

    def firing_alerts(self) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Return the labels and the annotations of each alert that is firing."""
        alerts = self._get("alerts")["alerts"]
        firing = [each for each in alerts if each["state"] == "firing"]
        return [(each["labels"], each["annotations"]) for each in firing]

    def broken_rules(self) -> list[str]:
        """Return what went wrong at the last evaluation of a rule."""
        groups = self._get("rules")["groups"]
        return [rule["lastError"] for group in groups for rule in group["rules"]
                if rule.get("lastError")]  # fmt: skip

    def _get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False)
        return answer.raise_for_status().json()["data"]


def scraping(
    targets: Mapping[str, str],
    rules: Sequence[Path] = (),
    alertmanager: str | None = None,
    interval: str = "1s",
) -> dict[str, Any]:
    """Return the configuration that scrapes host:port by job, and evaluates, at an interval."""
    tell = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in rules],
        "alerting": {"alertmanagers": tell},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]}
            for job, target in targets.items()
        ],
    }


@contextmanager
def a_prometheus(
    configuration: Mapping[str, Any] | str,
    folder: Path,
    *options: str,
    program: str | None = PROGRAM,
) -> Iterator[Prometheus]:
    """Run one with a configuration, or the text of one; its data is in `folder`."""
    file, log = folder / "prometheus.yml", folder / "prometheus.log"
    if not isinstance(configuration, str):
        configuration = json.dumps(configuration)  # JSON is YAML
    file.write_text(configuration, encoding="utf-8")
    address = f"{HOST}:{held_port()}"
    command = [
        str(program),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        *options,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    prometheus = Prometheus(f"http://{address}", process.pid, log)
    try:
        assert wait_until(lambda: process.poll() is not None or prometheus.is_ready())
        assert process.poll() is None, log.read_text()
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
