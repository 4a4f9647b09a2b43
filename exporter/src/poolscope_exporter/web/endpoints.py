"""Serve the exporter's data over HTTP: metrics, health, the page and the API."""

from collections.abc import AsyncIterator, Iterable
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from poolscope_exporter.listeners.compression import GZIP, VARY
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.metrics.exposition import ScrapeSlot
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.api_page import render_api_page
from poolscope_exporter.web.console.live_views import LiveViews
from poolscope_exporter.web.console.page_handlers import PageHandlers
from poolscope_exporter.web.handlers.api_handlers import ApiHandlers
from poolscope_exporter.web.handlers.compressed_answers import compress, wants_gzip
from poolscope_exporter.web.handlers.guard import guard
from poolscope_exporter.web.handlers.responses import (
    SECURITY_HEADERS,
    Handler,
    html_response,
    json_response,
)
from poolscope_exporter.web.openapi import (
    EVENTS,
    LIVE_PATH,
    OPERATIONS,
    POOL_PATH,
    openapi_document,
    route_options,
)
from poolscope_exporter.web.sources import Sources

SLICE_BYTES = 64 * 1024


def create_web(sources: Sources, keyring: Keyring | None) -> FastAPI:
    """Return the application; guarded paths answer only callers that `access_of` admits."""
    # FastAPI's pages of the document load scripts from other hosts, and need no token.
    app = FastAPI(openapi_url=None, exception_handlers={HTTPStatus.NOT_FOUND: _no_such_page})
    handlers = {
        **_operation_handlers(sources),
        **_page_handlers(sources),
        **ApiHandlers(sources).by_path(),
        **_document_handlers(app),
    }
    threads = DaemonThreads("gzip")
    for operation in OPERATIONS:
        handler = compress(handlers[operation.path], threads)
        allowed = guard(handler, keyring) if operation.is_guarded else handler
        app.add_api_route(operation.route, allowed, methods=["GET"], **route_options(operation))
        if operation.media_type == EVENTS:
            continue  # it would not end
        # For HEAD, the server sends only the headers.
        app.add_api_route(operation.route, allowed, methods=["HEAD"], include_in_schema=False)
    return app


def _operation_handlers(sources: Sources) -> dict[str, Handler]:
    async def metrics(request: Request) -> Response:
        slot = sources.exposition.begin_scrape()
        if slot is None:
            cure = "too many scrapes are in progress; retry later\n"
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return PlainTextResponse(cure, status, {"Retry-After": "5"})
        is_gzip = wants_gzip(request)
        parts, content_type = await sources.exposition.render(
            request.headers.get("accept", ""), is_gzip=is_gzip
        )
        headers = {"Content-Type": content_type, **VARY}
        if is_gzip:
            headers["Content-Encoding"] = GZIP
        return StreamingResponse(_slices(parts, slot), headers=headers)

    async def ready(_: Request) -> Response:
        if sources.is_ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the receiver is not up\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return {"/metrics": metrics, "/healthz": _healthy, "/readyz": ready}


def _page_handlers(sources: Sources) -> dict[str, Handler]:
    views = LiveViews(wait=sources.wait)
    pages = PageHandlers(sources.current_look, sources.details, views)

    async def page(request: Request) -> Response:
        return await pages.answer_page(request, SECURITY_HEADERS)

    async def updates(request: Request) -> Response:
        return await pages.answer_updates(request, SECURITY_HEADERS)

    return {
        "/": page,
        POOL_PATH: page,
        LIVE_PATH: updates,
        LIVE_PATH + POOL_PATH: updates,
        "/page.css": _asset("page.css", "text/css"),
        "/page.js": _asset("page.js", "text/javascript"),
        "/copy.js": _asset("copy.js", "text/javascript"),
    }


def _document_handlers(app: FastAPI) -> dict[str, Handler]:
    @cache
    def document() -> dict[str, Any]:
        return openapi_document(app)

    async def openapi(_: Request) -> Response:
        return json_response(document())

    async def docs(_: Request) -> Response:
        return html_response(render_api_page(document()))

    return {"/openapi.json": openapi, "/docs": docs}


async def _slices(parts: Iterable[bytes], slot: ScrapeSlot) -> AsyncIterator[bytes]:  # noqa: ARG001 - kept until the answer is sent, or given up
    # A slow reader gets one slice at a time; a copy of the whole would stay in memory.
    for part in parts:
        for begin in range(0, len(part), SLICE_BYTES):
            yield part[begin : begin + SLICE_BYTES]


async def _no_such_page(_: Request, __: Exception) -> Response:
    return PlainTextResponse("no such page\n", HTTPStatus.NOT_FOUND)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _asset(name: str, media_type: str) -> Handler:
    async def asset(_: Request) -> Response:
        content = resources.files(f"{__package__}.console").joinpath("templates", name).read_bytes()
        return Response(content, media_type=media_type, headers=SECURITY_HEADERS)

    return asset
