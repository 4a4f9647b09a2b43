"""Answer the requests of the live pages: the start page, the page of a pool, and their updates."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from poolscope_exporter.core.judging.overview.service_pools import PoolName
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.console.live_views import LiveViews
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.console.page_parts import PageView, render_view
from poolscope_exporter.web.console.page_query import (
    REFRESH_S,
    PageQuery,
    page_query_of,
)
from poolscope_exporter.web.console.pool_view import find_pool, gone_view, pool_view
from poolscope_exporter.web.console.start_view import start_view
from poolscope_exporter.web.selection import WrongQueryError

Handler = Callable[[Request], Awaitable[Response]]
DetailsOf = Callable[[PoolName], PoolDetails]

_LIVE: Final = "/live"
_NAMES: Final = 2
"""The parts of the address of a pool: its service and its name."""


class _NoSuchPageError(LookupError):
    """The address names no page."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as its address names it: the pool, None for the start page, and the query."""

    pool: tuple[str, str] | None
    query: PageQuery


class PageHandlers:
    """The handlers of the live pages; each page is rendered in a thread."""

    def __init__(self, look: Callable[[], Look], details: DetailsOf, views: LiveViews) -> None:
        self._look = look
        self._details = details
        self._views = views
        self._threads = DaemonThreads("frame")

    async def answer_page(self, request: Request, headers: dict[str, str]) -> Response:
        """Answer with a whole page."""
        try:
            page = _page_of(request.query_params, _path(request))
        except WrongQueryError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        except _NoSuchPageError:
            return PlainTextResponse("no such page\n", HTTPStatus.NOT_FOUND)
        view = await self._views.current_view(*self._view_of(page))
        path = f"{_LIVE}{_path(request).rstrip('/')}{page.query.address}"
        html = await self._threads.run(render_view, view, page.query, path)
        return Response(html, media_type="text/html", headers=headers)

    async def answer_updates(self, request: Request, headers: dict[str, str]) -> Response:
        """Answer with the changes of a page as server-sent events, for as long as it is open."""
        given = dict(request.query_params)
        since = request.headers.get("last-event-id") or given.pop("since", "")
        given.pop("since", None)
        try:
            page = _page_of(given, _path(request).removeprefix(_LIVE))
        except WrongQueryError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        except _NoSuchPageError:
            return PlainTextResponse("no such page\n", HTTPStatus.NOT_FOUND)
        if self._views.is_full:
            cure = "too many pages are open with live updates; close one, or reload by hand\n"
            return PlainTextResponse(cure, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "30"})
        updates: AsyncIterator[bytes] = self._views.stream(
            *self._view_of(page), since, page.query.refresh or REFRESH_S
        )
        return StreamingResponse(
            updates,
            media_type="text/event-stream",
            headers={**headers, "X-Accel-Buffering": "no"},
        )

    def _view_of(self, page: _Page) -> tuple[_Page, Callable[[], Callable[[], PageView]]]:
        shared = _Page(page.pool, page.query.shared)
        return shared, partial(self._prepare, shared)

    def _prepare(self, page: _Page) -> Callable[[], PageView]:
        """Collect the data of a page on the event loop, which owns it; return the renderer."""
        look = self._look()
        if page.pool is None:
            return partial(start_view, look, page.query)
        states = find_pool(look, *page.pool, page.query)
        if not states:
            return partial(gone_view, look, PoolName("", *page.pool))
        details = self._details(states[0].name)
        return partial(pool_view, look, states, details, page.query)


def _page_of(given: Mapping[str, str], path: str) -> _Page:
    query = page_query_of(given)
    if path in ("", "/"):
        return _Page(None, query)
    _, head, *names = path.split("/")
    if head != "pool" or len(names) != _NAMES:
        raise _NoSuchPageError
    service, pool = (unquote(name) for name in names)
    return _Page((service, pool), query)


def _path(request: Request) -> str:
    """Return the path as it was sent: a name may contain an escaped slash."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.partition(b"?")[0].decode("latin-1")
