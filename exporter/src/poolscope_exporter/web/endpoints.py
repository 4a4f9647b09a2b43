"""Serve the exporter's data over HTTP: metrics, health, the page and the API."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from poolscope_exporter.core.fleet.occupancy_history import ProfileRow
from poolscope_exporter.core.fleet.process_names import process_names
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.listeners.access import Access, access_of
from poolscope_exporter.listeners.compression import (
    GZIP,
    LEAST_BYTES,
    VARY,
    accepts_gzip,
    gzip_parts,
)
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.metrics.exposition import Exposition, ScrapeSlot
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.api_page import render_api_page
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.openapi import OPERATIONS, openapi_document, route_options
from poolscope_exporter.web.page import EVERYTHING, render_page
from poolscope_exporter.web.page_cache import PageCache
from poolscope_exporter.web.profile.profile_rows import profile_rows, profile_selection_of
from poolscope_exporter.web.rows import (
    bouncer_row,
    checkout_row,
    pool_row,
    rejected_row,
    server_row,
)
from poolscope_exporter.web.selection import RowSelection, WrongQueryError, selection_of

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

_CURES = {
    Access.NEEDS_TOKEN: (
        HTTPStatus.UNAUTHORIZED,
        (
            "this needs the exporter's token: send 'Authorization: Bearer <token>',"
            " or in a browser enter it as the password, with any user name\n"
        ),
    ),
    Access.NEEDS_LOOPBACK: (
        HTTPStatus.FORBIDDEN,
        (
            "only callers on the exporter's machine may read this, as it shows application data:"
            " open it by 127.0.0.1 or through a port-forward,"
            " or set POOLSCOPE_TOKEN or --token-file and send 'Authorization: Bearer <token>'\n"
        ),
    ),
}

_CHALLENGE = 'Basic realm="poolscope", charset="UTF-8", Bearer'
"""Basic is first because browsers support no other scheme and would not ask for the token."""

SLICE_BYTES = 64 * 1024

Handler = Callable[[Request], Awaitable[Response]]


def _no_profile(_: float) -> list[ProfileRow]:
    return []


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the answers.

    `timestamp` returns the current time in ISO 8601, and `profile` the rows of the last seconds.
    """

    situation: Callable[[], Situation]
    exposition: Exposition
    is_ready: Callable[[], bool]
    timestamp: Callable[[], str]
    role: Role = Role.STANDALONE
    profile: Callable[[float], list[ProfileRow]] = _no_profile
    trace_url: str | None = None


def create_web(sources: Sources, keyring: Keyring | None) -> FastAPI:
    """Return the application; guarded paths answer only callers that `access_of` admits."""
    # FastAPI's pages of the document load scripts from other hosts, and need no token.
    app = FastAPI(openapi_url=None)
    handlers = _operation_handlers(sources) | _api_handlers(sources) | _document_handlers(app)
    threads = DaemonThreads("gzip")
    for operation in OPERATIONS:
        handler = _compressing(handlers[operation.path], threads)
        allowed = _guarded(handler, keyring) if operation.is_guarded else handler
        app.add_api_route(operation.path, allowed, methods=["GET"], **route_options(operation))
        # For HEAD, the server sends only the headers.
        app.add_api_route(operation.path, allowed, methods=["HEAD"], include_in_schema=False)
    return app


def _operation_handlers(sources: Sources) -> dict[str, Handler]:
    async def metrics(request: Request) -> Response:
        slot = sources.exposition.begin_scrape()
        if slot is None:
            cure = "too many scrapes are in progress; retry later\n"
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return PlainTextResponse(cure, status, {"Retry-After": "5"})
        is_gzip = _wants_gzip(request)
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


def _api_handlers(sources: Sources) -> dict[str, Handler]:
    threads = DaemonThreads("api")

    def answer_with(rows_of: Callable[[Situation, RowSelection], dict[str, Any]]) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                wanted = selection_of(request.query_params)
            except WrongQueryError as error:
                return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
            situation, common = sources.situation(), partial(_common, sources=sources)

            def encoded() -> Response:
                return _json({**rows_of(situation, wanted), **common(situation)})

            # The rows of a large fleet take seconds, so they are encoded in a thread, one at a
            # time.
            return await threads.run(encoded)

        return answer

    return {
        "/": _page_handler(sources, threads),
        "/page.css": _style,
        "/api/v1/checkouts": answer_with(_checkout_rows),
        "/api/v1/pools": answer_with(_pool_rows),
        "/api/v1/blockers": answer_with(_blocker_rows),
        "/api/v1/profile": _profile_handler(sources, threads),
    }


def _profile_handler(sources: Sources, threads: DaemonThreads) -> Handler:
    async def profile(request: Request) -> Response:
        try:
            wanted = profile_selection_of(request.query_params)
        except WrongQueryError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        situation, rows = sources.situation(), sources.profile(wanted.window_s)

        def encoded() -> Response:
            found = profile_rows(rows, situation, wanted)
            return _json({**found, **_common(situation, sources)})

        return await threads.run(encoded)

    return profile


def _page_handler(sources: Sources, threads: DaemonThreads) -> Handler:
    pages = PageCache()

    def prepare_page(wanted: RowSelection = EVERYTHING) -> Callable[[], str]:
        return partial(
            render_page,
            sources.situation(),
            sources.timestamp(),
            sources.role,
            wanted,
            sources.trace_url,
        )

    async def page(request: Request) -> Response:
        try:
            wanted = selection_of(request.query_params)
        except WrongQueryError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        if wanted == EVERYTHING:
            return _html(await pages.page(prepare_page))
        return _html(await threads.run(prepare_page(wanted)))

    return page


def _document_handlers(app: FastAPI) -> dict[str, Handler]:
    @cache
    def document() -> dict[str, Any]:
        return openapi_document(app)

    async def openapi(_: Request) -> Response:
        return _json(document())

    async def docs(_: Request) -> Response:
        return _html(render_api_page(document()))

    return {"/openapi.json": openapi, "/docs": docs}


def _checkout_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_checkouts(situation.judgements)
    names = process_names(situation.instances)
    rows = [checkout_row(judgement, names) for judgement in found[: wanted.limit]]
    return {"checkouts": rows, "matching": len(found)}


def _pool_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_pools(situation.pools)
    names = process_names(situation.instances)
    rows = [pool_row(state, names) for state in found[: wanted.limit]]
    rejected = [rejected_row(each, situation.taken_at_s) for each in situation.rejected]
    return {"pools": rows, "matching": len(found), "rejected": rejected}


def _blocker_rows(situation: Situation, wanted: RowSelection) -> dict[str, Any]:
    found = wanted.matching_blockers(situation.blockers)
    names = process_names(situation.instances)
    rows = [root_blocker_row(blocker, names) for blocker in found[: wanted.limit]]
    return {"blockers": rows, "matching": len(found)}


async def _slices(parts: Iterable[bytes], slot: ScrapeSlot) -> AsyncIterator[bytes]:  # noqa: ARG001 - kept until the answer is sent, or given up
    # A slow reader gets one slice at a time; a copy of the whole would stay in memory.
    for part in parts:
        for begin in range(0, len(part), SLICE_BYTES):
            yield part[begin : begin + SLICE_BYTES]


def _compressing(handler: Handler, threads: DaemonThreads) -> Handler:
    """Return the handler with a body that is compressed where that is accepted and worth it.

    One thread compresses, so many readers of a large page cost at most one core. A stream is left
    as it is: `/metrics` compresses its text once for all scrapers.
    """

    async def compressing(request: Request) -> Response:
        response = await handler(request)
        if isinstance(response, StreamingResponse) or len(response.body) < LEAST_BYTES:
            return response
        response.headers.update(VARY)
        if _wants_gzip(request):
            response.body = await threads.run(_gzipped, response.body)
            response.headers["Content-Encoding"] = GZIP
            response.headers["Content-Length"] = str(len(response.body))
        return response

    return compressing


def _gzipped(body: bytes) -> bytes:
    return b"".join(gzip_parts([body]))


def _wants_gzip(request: Request) -> bool:
    return accepts_gzip(request.headers.get("accept-encoding", ""))


def _guarded(handler: Handler, keyring: Keyring | None) -> Handler:
    async def guarded(request: Request) -> Response:
        access = access_of(request, keyring)
        if access is Access.GRANTED:
            return await handler(request)
        status, cure = _CURES[access]
        is_challenge = status is HTTPStatus.UNAUTHORIZED
        headers = {"WWW-Authenticate": _CHALLENGE} if is_challenge else None
        return PlainTextResponse(cure, status, headers)

    return guarded


def _common(situation: Situation, sources: Sources) -> dict[str, Any]:
    return {
        "servers": [server_row(view) for view in situation.servers],
        "pgbouncers": [bouncer_row(view) for view in situation.bouncers],
        "role": sources.role,
        "withheld": {
            "checkouts": situation.withheld.checkouts,
            "pools": situation.withheld.pools,
        },
        "taken_at": sources.timestamp(),
    }


def _json(content: dict[str, Any]) -> Response:
    return JSONResponse(content, headers=_SECURITY_HEADERS)


def _html(page: str) -> Response:
    return Response(page, media_type="text/html", headers=_SECURITY_HEADERS)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _style(_: Request) -> Response:
    style = resources.files(__package__).joinpath("templates", "page.css").read_bytes()
    return Response(style, media_type="text/css", headers=_SECURITY_HEADERS)
