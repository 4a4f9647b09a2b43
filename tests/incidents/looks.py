"""Look once per second at what is shown and what fires, and keep when each thing changed."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from incidents.ground import Ground
from support.processes.lookout import Lookout

INTERVAL_S = 1.0
WARNS = "warn"


@dataclass(frozen=True, slots=True)
class Change:
    """A process, server or PgBouncer of which something else is shown since `at` (monotonic)."""

    at: float
    of: str
    diagnosis: str
    reason: str
    names: frozenset[str]
    """The names by which it belongs to an incident: of the service, server or PgBouncer."""


@dataclass(slots=True)
class FiringAlert:
    """An alert that fired, from the first to the last look at it (monotonic)."""

    labels: dict[str, str]
    first: float
    last: float


class Looks(Lookout):
    """What the exporters showed and what fired in Prometheus, while its context lasts."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(INTERVAL_S)
        self.changes: list[Change] = []
        self.firing: dict[tuple[tuple[str, str], ...], FiringAlert] = {}
        self._ground = ground
        self._last: dict[tuple[str, str], str] = {}
        self._client = httpx.Client(trust_env=False, timeout=10)

    def look(self) -> None:
        """Ask each exporter that runs, and Prometheus."""
        for exporter in tuple(self._ground.exporters.values()):
            try:
                told = self._client.get(f"{exporter.web}/api/v1/pools").json()
            except httpx.TransportError:
                continue  # it is killed, or just starts
            self._note([*_of_pools(told), *_of_servers(told)])
        with suppress(httpx.TransportError):  # a busy machine answers at the next look
            self._note_alerts(self._ground.prometheus.firing_alerts())

    def _note_alerts(self, alerts: Iterable[tuple[dict[str, str], dict[str, str]]]) -> None:
        now = time.monotonic()
        for labels, _ in alerts:
            key = tuple(sorted(labels.items()))
            self.firing.setdefault(key, FiringAlert(labels, now, now)).last = now

    def _note(self, changes: Iterable[Change]) -> None:
        """Keep what is new: of each process only the changes, and each check once."""
        for change in changes:
            kind = (change.of, change.diagnosis if change.diagnosis.startswith("C") else "")
            if self._last.get(kind) != change.diagnosis:
                self._last[kind] = change.diagnosis
                self.changes.append(change)


def _of_pools(told: dict[str, Any]) -> Iterator[Change]:
    now = time.monotonic()
    for row in told["pools"]:
        of = f"{row['service_instance_id']} {row['pool']}"
        names = frozenset({row["service"]})
        yield Change(now, of, row["diagnosis"], " ".join(row["reasons"][:1]), names)
        for check in row["config_checks"]:
            if check["result"] == WARNS:
                yield Change(now, of, check["check_id"], "", names)


def _of_servers(told: dict[str, Any]) -> Iterator[Change]:
    now = time.monotonic()
    for row in told["servers"]:
        state = f"privilege {row['privilege']}" if row["up"] else "down"
        yield Change(now, row["server"], state, "", frozenset({row["server"]}))
    for row in told["pgbouncers"]:
        state = "up" if row["up"] else "down"
        yield Change(now, row["pgbouncer"], state, "", frozenset({row["pgbouncer"]}))
