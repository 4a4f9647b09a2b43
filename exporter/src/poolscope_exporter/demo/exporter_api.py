"""The exporter's HTTP answers as values; the demo uses only the exporter's public API."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from poolscope_exporter.demo.errors import DemoError
from poolscope_exporter.terminal.reported import ReportedCheckout, ReportedPool

REQUEST_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ReportedServer:
    """One database server; `reason` explains why it is not up."""

    server: str
    up: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exporter's answers at one moment."""

    servers: tuple[ReportedServer, ...]
    pools: tuple[ReportedPool, ...]
    checkouts: tuple[ReportedCheckout, ...]


_SNAPSHOT = TypeAdapter(Snapshot)


class ExporterApi:
    """The exporter's API at `base_url`."""

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        self._client = client
        self._base_url = base_url

    async def snapshot(self) -> Snapshot:
        """Return the current snapshot; raise DemoError if the exporter does not return one."""
        try:
            checkouts, pools = await asyncio.gather(
                self._get("/api/v1/checkouts"), self._get("/api/v1/pools")
            )
            return _SNAPSHOT.validate_python({**checkouts, **pools})
        except (httpx.HTTPError, ValidationError) as error:
            raise DemoError(f"the exporter's API at {self._base_url} failed: {error}") from error

    async def _get(self, path: str) -> Any:
        response = await self._client.get(f"{self._base_url}{path}", timeout=REQUEST_TIMEOUT_S)
        return response.raise_for_status().json()
