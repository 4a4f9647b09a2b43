"""The requests that the story's services get: steady healthy ones, and sick ones by phase."""

import asyncio
import itertools
from collections.abc import Sequence

import httpx

REQUEST_TIMEOUT_S = 30.0


class Traffic:
    """Sends requests to services by name; whoever sends never waits for whoever answers.

    An error is part of the story: pools are meant to get into trouble, and servers to go away.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._client = httpx.AsyncClient(
            timeout=REQUEST_TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        )
        self._streams: list[asyncio.Task[None]] = []
        self._steady: list[asyncio.Task[None]] = []

    def steady(self, base: str, path: str, every_s: float) -> None:
        """Send requests until the end; `{n}` in the path counts to 50 again and again."""
        self._steady.append(self._tasks.create_task(self._stream(base, path, every_s)))

    def sick(self, base: str, path: str, every_s: float, method: str = "GET") -> None:
        """Send requests until the phase ends."""
        self._streams.append(self._tasks.create_task(self._stream(base, path, every_s, method)))

    def burst(self, base: str, paths: Sequence[str], method: str = "GET") -> None:
        """Send each of these once, now."""
        for path in paths:
            self._tasks.create_task(self._send(method, base + path))

    def end_phase(self) -> None:
        """Send no more of the sick requests; those under way go on."""
        while self._streams:
            self._streams.pop().cancel()

    def stop(self) -> None:
        """Send nothing more at all."""
        self.end_phase()
        while self._steady:
            self._steady.pop().cancel()

    async def close(self) -> None:
        """Close the connections, after all have answered."""
        await self._client.aclose()

    async def _stream(self, base: str, path: str, every_s: float, method: str = "GET") -> None:
        for count in itertools.count():
            url = base + path.replace("{n}", str(count % 50 + 1))
            self._tasks.create_task(self._send(method, url))
            await asyncio.sleep(every_s)

    async def _send(self, method: str, url: str) -> None:
        try:
            await self._client.request(method, url)
        except httpx.HTTPError:
            return
