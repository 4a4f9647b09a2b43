"""Serve what is known over HTTP: metrics, health, the page and the API."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.core.judging.visibility import Role
from poolscope_exporter.listeners.access import Access, access_of
from poolscope_exporter.listeners.tokens import Keyring
from poolscope_exporter.metrics.exposition import Exposition
from poolscope_exporter.web.api_page import render_api_page
from poolscope_exporter.web.openapi import OPERATIONS, openapi_document, route_options
from poolscope_exporter.web.page import render_page
from poolscope_exporter.web.rows import bouncer_row, checkout_row, pool_row, server_row

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_CURES = {
    Access.NEEDS_TOKEN: (
        HTTPStatus.UNAUTHORIZED,
        (
            "this needs the exporter's token: send 'Authorization: Bearer <token>',"
            " or in a browser type it as the password, with any user name\n"
        ),
    ),
    Access.NEEDS_LOOPBACK: (
        HTTPStatus.FORBIDDEN,
        (
            "this is for callers on the exporter's own machine, because it tells who holds what:"
            " open it by 127.0.0.1 or through a port-forward,"
            " or set POOLSCOPE_TOKEN or --token-file and send 'Authorization: Bearer <token>'\n"
        ),
    ),
}

_CHALLENGE = 'Basic realm="poolscope", charset="UTF-8", Bearer'
"""Basic first: a browser knows no other, and would not ask."""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the answers come from; `timestamp` is now, in ISO 8601."""

    situation: Callable[[], Situation]
    exposition: Exposition
    is_ready: Callable[[], bool]
    timestamp: Callable[[], str]
    role: Role = Role.STANDALONE


def create_web(sources: Sources, keyring: Keyring | None) -> FastAPI:
    """Return the application; guarded paths answer only callers that `access_of` lets in."""
    # FastAPI's own pages of the document load scripts from elsewhere, and are open to everybody.
    app = FastAPI(openapi_url=None)
    handlers = _operation_handlers(sources) | _api_handlers(sources) | _document_handlers(app)
    for operation in OPERATIONS:
        handler = handlers[operation.path]
        allowed = _guarded(handler, keyring) if operation.is_guarded else handler
        app.add_api_route(operation.path, allowed, methods=["GET"], **route_options(operation))
    return app


def _operation_handlers(sources: Sources) -> dict[str, Handler]:
    async def metrics(request: Request) -> Response:
        parts, content_type = await sources.exposition.render(request.headers.get("accept", ""))
        return StreamingResponse(_each(parts), headers={"Content-Type": content_type})

    async def ready(_: Request) -> Response:
        if sources.is_ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the receiver is not up\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return {"/metrics": metrics, "/healthz": _healthy, "/readyz": ready}


def _api_handlers(sources: Sources) -> dict[str, Handler]:
    async def page(_: Request) -> Response:
        return _html(render_page(sources.situation(), sources.timestamp(), sources.role))

    async def checkouts(_: Request) -> Response:
        situation = sources.situation()
        rows = [checkout_row(judgement) for judgement in situation.judgements]
        return _json({"checkouts": rows, **_common(situation, sources)})

    async def pools(_: Request) -> Response:
        situation = sources.situation()
        rows = [pool_row(state) for state in situation.pools]
        return _json({"pools": rows, **_common(situation, sources)})

    return {
        "/": page,
        "/page.css": _style,
        "/api/v1/checkouts": checkouts,
        "/api/v1/pools": pools,
    }


def _document_handlers(app: FastAPI) -> dict[str, Handler]:
    @cache
    def document() -> dict[str, Any]:
        return openapi_document(app)

    async def openapi(_: Request) -> Response:
        return _json(document())

    async def docs(_: Request) -> Response:
        return _html(render_api_page(document()))

    return {"/openapi.json": openapi, "/docs": docs}


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    # Part by part: a large fleet's text is not copied whole for each scraper.
    for part in parts:
        yield part


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
