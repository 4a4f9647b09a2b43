"""Render each open view once for all pages that show it, and send its changes to them."""

import asyncio
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import replace
from typing import Final

from poolscope_exporter import clock
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.console.page_parts import PageView
from poolscope_exporter.web.console.updates import (
    NOTHING_SHOWN,
    PageState,
    next_update,
    state_of,
)

FRESH_S: Final = 1.0
"""The time for which a rendered view is reused."""

MAX_PAGES: Final = 64
"""The most open pages with live updates; another one reloads by hand."""

MAX_VIEWS: Final = 16
"""The most views that are kept, so that a page continues from what it shows."""

SHARE: Final = 0.1
"""The largest share of time for rendering: many different views are updated less often."""

ALIVE_S: Final = 15.0
"""The longest time without a line, so that proxies keep the connection."""

RETRY_MS: Final = 3000

Wait = Callable[[float], Awaitable[bool]]
"""Waits for so many seconds; returns False if the exporter stops."""

Prepare = Callable[[], Callable[[], PageView]]


class LiveViews:
    """The last view for each address, rendered one at a time in a thread beside the event loop."""

    def __init__(
        self,
        now: Callable[[], float] = clock.monotonic,
        wait: Wait | None = None,
    ) -> None:
        self._now = now
        self._wait = wait or _sleep
        self._lock = asyncio.Lock()
        self._threads = DaemonThreads("page")
        self._views: OrderedDict[Hashable, tuple[float, PageView]] = OrderedDict()
        self._states: OrderedDict[str, PageState] = OrderedDict()
        self._updates: OrderedDict[tuple[str, str], tuple[str, PageState]] = OrderedDict()
        self._number = 0
        # An id of an earlier run of the exporter must not match.
        self._run = secrets.token_hex(4)
        self._took_s: dict[Hashable, float] = {}
        self._open: Counter[Hashable] = Counter()

    @property
    def is_full(self) -> bool:
        """Return whether no further page can have live updates."""
        return self._open.total() >= MAX_PAGES

    async def current_view(self, key: Hashable, prepare: Prepare) -> PageView:
        """Return the view of an address; `prepare` collects its data, and returns its renderer."""
        async with self._lock:
            known = self._views.get(key)
            if known is not None and self._now() < known[0]:
                return known[1]
            began_s = self._now()
            view = await self._threads.run(prepare())
            self._number += 1
            view = replace(view, token=f"{self._run}-{self._number}")
            self._remember(key, view, began_s)
            return view

    async def stream(
        self, key: Hashable, prepare: Prepare, since: str, refresh_s: float
    ) -> AsyncIterator[bytes]:
        """Yield server-sent events with the changes of a page; `since` is the token of its view.

        The next event is computed after the page took the last one, so a slow page only slows down
        itself. All pages wake at the same instants, so they share a view and its update.
        """
        shown, sent_s = self._states.get(since, NOTHING_SHOWN), self._now()
        self._open[key] += 1
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while await self._is_due(refresh_s):
                view = await self.current_view(key, prepare)
                update, shown = self._update(shown, view)
                if update:
                    # A page that lacks a part continues from the last whole view.
                    mark = f"id: {shown.token}\n" if shown.token else ""
                    sent_s = self._now()
                    yield f"{mark}data: {update}\n\n".encode()
                elif self._now() - sent_s >= ALIVE_S:
                    sent_s = self._now()
                    yield b": no change\n\n"
        finally:
            self._close(key)

    def _close(self, key: Hashable) -> None:
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
            self._took_s.pop(key, None)

    def _remember(self, key: Hashable, view: PageView, began_s: float) -> None:
        ended_s = self._now()
        self._views[key] = ended_s + FRESH_S, view
        self._views.move_to_end(key)
        self._states[view.token] = state_of(view)
        self._took_s[key] = ended_s - began_s
        while len(self._views) > MAX_VIEWS:
            self._took_s.pop(self._views.popitem(last=False)[0], None)
        while len(self._states) > MAX_VIEWS:
            self._states.popitem(last=False)

    async def _is_due(self, refresh_s: float) -> bool:
        """Wait for the next instant of an update; return False if the exporter stops."""
        took_s = sum(self._took_s.get(key, 0.0) for key in self._open)
        interval_s = max(refresh_s, took_s / SHARE)
        until_s = (self._now() // interval_s + 1) * interval_s
        return await self._wait(until_s - self._now())

    def _update(self, shown: PageState, view: PageView) -> tuple[str, PageState]:
        """Return the next update of a page, computed once for all pages that show the same."""
        key = shown.token, view.token
        known = self._updates.get(key) if shown.token else None
        if known is None:
            known = next_update(shown, view)
            if shown.token:
                self._updates[key] = known
            while len(self._updates) > MAX_VIEWS:
                self._updates.popitem(last=False)
        return known


async def _sleep(seconds: float) -> bool:
    await asyncio.sleep(seconds)
    return True
