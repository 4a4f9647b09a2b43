"""Render the page once per second for all readers, in a thread beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import Final

from poolscope_exporter import clock
from poolscope_exporter.threads.daemon_threads import DaemonThreads

FRESH_S: Final = 1.0
"""The time for which a page is reused: it reloads every two seconds in each open tab."""


class PageCache:
    """The last page; only one is rendered at a time, because a large fleet takes seconds."""

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._lock = asyncio.Lock()
        self._threads = DaemonThreads("page")
        self._page = ""
        self._expires_s = float("-inf")

    async def page(self, prepare: Callable[[], Callable[[], str]]) -> str:
        """Return the page.

        `prepare` collects its data, and returns the function that renders it.
        """
        async with self._lock:
            if self._now() >= self._expires_s:
                self._page = await self._threads.run(prepare())
                self._expires_s = self._now() + FRESH_S
            return self._page
