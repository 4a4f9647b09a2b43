"""The scene of one incident: its services, its traffic, and when it broke and was cured."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from incidents.ground import Ground
from incidents.looks import Looks
from incidents.services import PATIENCE_S, Service, Traffic
from poolscope_generators.incidents.record import Delays, Fired, Record, Sent, Shown
from poolscope_generators.incidents.truth import Truth


class Scene:
    """What one incident may do. Its story marks `broken` and `cured` itself, by doing them."""

    def __init__(self, truth: Truth, ground: Ground, client: httpx.AsyncClient) -> None:
        self.truth = truth
        self.ground = ground
        self.names = {truth.name}
        """What messages have in their labels if they are of this incident."""
        self._client = client
        self._services: list[Service] = []
        self._traffic: list[Traffic] = []
        self._broken: float | None = None
        self._cured: float | None = None

    async def service(
        self,
        server: str = "main",
        exporter: str = "a",
        *,
        count: int = 1,
        dsn: str | None = None,
        otlp: str | None = None,
        **pool: Any,
    ) -> list[Service]:
        """Start the processes of the incident's service, and return them."""  # fmt: skip
        to = dsn or self.ground.dsn(server)
        pushes_to = otlp or self.ground.exporters[exporter].otlp
        started = [
            Service(self.truth.name, to, pushes_to, self._folder, pool) for _ in range(count)
        ]
        self._services += started
        for each in started:
            await asyncio.to_thread(each.start)
        return started

    def send(self, service: Service, method: str, path: str, per_s: float) -> Traffic:
        """Let clients call the service from now on."""
        traffic = Traffic(self._client, method, service.url + path, per_s)
        self._traffic.append(traffic)
        return traffic

    def repeat(self, service: Service, method: str, path: str, every_s: float) -> None:
        """Let one client call at once, and then again and again."""
        traffic = Traffic(self._client, method, service.url + path, 1 / every_s, is_regular=True)
        self._traffic.append(traffic)

    async def call(self, service: Service, method: str, path: str) -> None:
        """Call once, and wait for the answer, whatever it is."""
        await self._client.request(method, service.url + path)

    async def change(self, service: Service, **ways: float) -> None:
        """Let the service do something in another way from now on."""
        for name, value in ways.items():
            answer = await self._client.put(f"{service.url}/ways/{name}", params={"value": value})
            answer.raise_for_status()

    async def well(self) -> None:
        """Let everything be well for a while."""
        await asyncio.sleep(self.truth.well_s)

    def broken(self) -> None:
        """Begin the incident now."""
        self._broken = time.monotonic()

    async def lasts(self) -> None:
        """Wait until the incident is to be cured."""
        assert self._broken is not None
        await asyncio.sleep(self._broken + self.truth.lasts_s - time.monotonic())

    def cured(self) -> None:
        """End the incident now."""
        self._cured = time.monotonic()

    async def watch(self) -> None:
        """Watch for as long as messages may still come."""
        await asyncio.sleep(self.truth.watched_after_s)

    async def leave(self) -> None:
        """Stop traffic and services."""
        for traffic in self._traffic:
            await traffic.stop()
        for service in self._services:
            await asyncio.to_thread(service.stop)

    @property
    def calls(self) -> str:
        """Return how many calls were answered, and how many failed."""
        answers = sum(each.answers for each in self._traffic)
        return f"{answers} answers, {sum(each.failures for each in self._traffic)} failures"

    @property
    def _folder(self) -> Path:
        return self.ground.folder

    def record(self, looks: Looks, delays: Delays) -> Record:
        """Return what was seen of this incident until now."""
        assert self._broken is not None
        assert self._cured is not None
        since = self._since(self._broken)
        return Record(
            self.truth,
            lasted_s=since(self._cured),
            until_s=since(time.monotonic()),
            shown=tuple(
                Shown(since(each.at), each.of, each.diagnosis, each.reason)
                for each in tuple(looks.changes)
                if each.names & self.names
            ),
            fired=tuple(
                Fired(
                    each.labels["alertname"], each.labels["severity"],
                    since(each.first), since(each.last),
                )
                for each in tuple(looks.firing.values())
                if self.concerns(each.labels)
            ),
            sent=tuple(
                Sent(
                    since(each.at), each.receiver, each.status, each.name,
                    each.labels["severity"], each.annotations["description"],
                )
                for each in tuple(self.ground.webhook.told)
                if self.concerns(each.labels)
            ),
            delays=delays,
        )  # fmt: skip

    def concerns(self, labels: Any) -> bool:
        """Decide whether an alert is of this incident: by its service, else by its server."""
        if service := labels.get("service_name"):
            return service in self.names
        return not self.names.isdisjoint(labels.values())

    def _since(self, began: float) -> Callable[[float], float]:
        return lambda at: round(at - began, 1)


def a_client() -> httpx.AsyncClient:
    """Return a client for all scenes: it opens a connection for each request."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=PATIENCE_S, limits=limits, trust_env=False)
