"""Look once per second at what the exporter shows and what fires, for each service."""

import itertools
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from adoption.ground import Ground
from support.processes.lookout import Lookout

INTERVAL_S = 1.0
LOOKS_PER_COUNT = 4
"""All metrics are much to read; counts are judged when they have settled."""

WARNS = "warn"
CHECKOUTS = re.compile(r"^poolscope_checkouts_total(\{.*\}) (\S+)$", re.MULTILINE)
SERVICE = re.compile(r'service_name="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing that was shown of a service at a time (monotonic)."""

    at: float
    name: str
    text: str = ""


class AdoptionLooks(Lookout):
    """What was shown of each service: diagnoses, checks, alerts, counts and processes."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(INTERVAL_S)
        self.diagnoses: dict[str, list[Sight]] = defaultdict(list)
        self.checks: dict[str, dict[str, str]] = defaultdict(dict)
        self.alerts: dict[str, list[Sight]] = defaultdict(list)
        self.pools: dict[str, list[dict[str, Any]]] = {}
        self._counts: dict[str, dict[str, float]] = defaultdict(dict)
        self._ground = ground
        self._looks = itertools.count()
        self._client = httpx.Client(trust_env=False, timeout=20)

    def count(self, service: str) -> int:
        """Return all checkouts: the last value of each series that there is or was."""
        return int(sum(dict(self._counts[service]).values()))

    def look(self) -> None:
        """Read the API, the metrics, and the alerts if there are any."""
        web = self._ground.exporter.web
        with suppress(httpx.HTTPError):  # a busy machine answers at the next look
            pools = self._client.get(f"{web}/api/v1/pools").raise_for_status()
            self._note_pools(pools.json()["pools"])
            if next(self._looks) % LOOKS_PER_COUNT == 0:
                metrics = self._client.get(f"{web}/metrics").raise_for_status()
                self._note_counts(metrics.text)
            if self._ground.prometheus is not None:
                self._note_alerts()

    def _note_pools(self, rows: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        by_service = defaultdict(list)
        for row in rows:
            service = row["service"]
            by_service[service].append(row)
            reason = " ".join(row["reasons"][:1])
            self.diagnoses[service].append(Sight(now, row["diagnosis"], reason))
            for check in row["config_checks"]:
                if check["result"] == WARNS:
                    self.checks[service][check["check_id"]] = check["cure"]
        self.pools = dict(by_service)

    def _note_counts(self, metrics: str) -> None:
        for labels, value in CHECKOUTS.findall(metrics):
            [service] = SERVICE.findall(labels)
            self._counts[service][labels] = float(value)

    def _note_alerts(self) -> None:
        assert self._ground.prometheus is not None
        now = time.monotonic()
        for labels, annotations in self._ground.prometheus.firing_alerts():
            text = annotations.get("description", "")
            sight = Sight(now, f"{labels['alertname']}/{labels['severity']}", text)
            for service in _concerned(labels, self._ground.servers):
                self.alerts[service].append(sight)


def _concerned(labels: dict[str, str], names: Any) -> Iterator[str]:
    """Return the applications that an alert is about, by service or by server."""
    if service := labels.get("service_name"):
        yield service
        return
    yield from (name for name in names if name in labels.values())
