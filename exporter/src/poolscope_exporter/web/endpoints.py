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
from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.judging.overview.service_pools import PoolName
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
from poolscope_exporter.settings.shown_settings import ShownSetting
from poolscope_exporter.threads.daemon_threads import DaemonThreads
from poolscope_exporter.web.api_page import render_api_page
from poolscope_exporter.web.console.live_views import LiveViews, Wait
from poolscope_exporter.web.console.look import Look, PoolDetails
from poolscope_exporter.web.console.page_handlers import DetailsOf, PageHandlers
from poolscope_exporter.web.incidents.incident_page import render_incidents
from poolscope_exporter.web.incidents.incident_rows import (
    ShownIncidents,
    incident_rows,
    incident_selection_of,
)
from poolscope_exporter.web.lock_rows import root_blocker_row
from poolscope_exporter.web.openapi import (
    EVENTS,
    LIVE_PATH,
    OPERATIONS,
    POOL_PATH,
    openapi_document,
    route_options,
)
from poolscope_exporter.web.profile.profile_rows import profile_rows, profile_selection_of
from poolscope_exporter.web.releases.release_rows import check_release_query, release_rows
from poolscope_exporter.web.rows import (
    bouncer_row,
    checkout_row,
    pool_row,
    rejected_row,
    server_row,
)
from poolscope_exporter.web.selection import RowSelection, WrongQueryError, selection_of
from poolscope_exporter.web.setup.setup_rows import setup_answer

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
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


def _no_details(_: PoolName) -> PoolDetails:
    return PoolDetails()


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of the answers.

    `timestamp` returns the current time in ISO 8601, and `profile` the rows of the last seconds.
    The pages show `look`; only the page of one pool shows `details`. Between two updates of an open
    page, its stream calls `wait`.
    """

    situation: Callable[[], Situation]
    exposition: Exposition
    is_ready: Callable[[], bool]
    timestamp: Callable[[], str]
    role: Role = Role.STANDALONE
    profile: Callable[[float], list[ProfileRow]] = _no_profile
    trace_url: str | None = None
    incidents: Callable[[], ShownIncidents] = ShownIncidents
    releases: Callable[[], list[ReleaseNumbers]] = list
    settings: tuple[ShownSetting, ...] = ()
    look: Callable[[], Look] | None = None
    details: DetailsOf = _no_details
    wait: Wait | None = None

    def current_look(self) -> Look:
        """Return what the pages show; without a source of it, the present situation alone."""
        if self.look is not None:
            return self.look()
        return Look(self.situation(), self.timestamp(), role=self.role, trace_url=self.trace_url)


def create_web(sources: Sources, keyring: Keyring | None) -> FastAPI:
    """Return the application; guarded paths answer only callers that `access_of` admits."""
    # FastAPI's pages of the document load scripts from other hosts, and need no token.
    app = FastAPI(openapi_url=None, exception_handlers={HTTPStatus.NOT_FOUND: _no_such_page})
    handlers = _operation_handlers(sources) | _api_handlers(sources) | _document_handlers(app)
    threads = DaemonThreads("gzip")
    for operation in OPERATIONS:
        handler = _compressing(handlers[operation.path], threads)
        allowed = _guarded(handler, keyring) if operation.is_guarded else handler
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
        **_page_handlers(sources),
        "/page.css": _asset("page.css", "text/css"),
        "/page.js": _asset("page.js", "text/javascript"),
        "/copy.js": _asset("copy.js", "text/javascript"),
        "/api/v1/checkouts": answer_with(_checkout_rows),
        "/api/v1/pools": answer_with(_pool_rows),
        "/api/v1/blockers": answer_with(_blocker_rows),
        "/api/v1/profile": _profile_handler(sources, threads),
        **_incident_handlers(sources, threads),
        "/api/v1/releases": _release_handler(sources, threads),
        "/api/v1/settings": _setup_handler(sources),
    }


def _incident_handlers(sources: Sources, threads: DaemonThreads) -> dict[str, Handler]:
    def handler(encode: Callable[[dict[str, Any], Situation], Response]) -> Handler:
        async def incidents(request: Request) -> Response:
            try:
                wanted = incident_selection_of(request.query_params)
            except WrongQueryError as error:
                return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
            shown, situation = sources.incidents(), sources.situation()
            return await threads.run(lambda: encode(incident_rows(shown, wanted), situation))

        return incidents

    def answer(found: dict[str, Any], situation: Situation) -> Response:
        return _json({**found, **_common(situation, sources)})

    def page(found: dict[str, Any], _: Situation) -> Response:
        rows = found.pop("incidents")
        return _html(render_incidents(rows, **found, taken_at=sources.timestamp()))

    return {"/api/v1/incidents": handler(answer), "/incidents": handler(page)}


def _release_handler(sources: Sources, threads: DaemonThreads) -> Handler:
    async def releases(request: Request) -> Response:
        query = request.query_params
        try:
            check_release_query(query)
        except WrongQueryError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.BAD_REQUEST)
        found, situation = sources.releases(), sources.situation()
        return await threads.run(
            lambda: _json({**release_rows(found, situation, query), **_common(situation, sources)})
        )

    return releases


def _setup_handler(sources: Sources) -> Handler:
    async def setup(_: Request) -> Response:
        return _json(setup_answer(sources.settings))

    return setup


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


def _page_handlers(sources: Sources) -> dict[str, Handler]:
    views = LiveViews(wait=sources.wait)
    pages = PageHandlers(sources.current_look, sources.details, views)

    async def page(request: Request) -> Response:
        return await pages.answer_page(request, _SECURITY_HEADERS)

    async def updates(request: Request) -> Response:
        return await pages.answer_updates(request, _SECURITY_HEADERS)

    return {"/": page, POOL_PATH: page, LIVE_PATH: updates, LIVE_PATH + POOL_PATH: updates}


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


async def _no_such_page(_: Request, __: Exception) -> Response:
    return PlainTextResponse("no such page\n", HTTPStatus.NOT_FOUND)


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _asset(name: str, media_type: str) -> Handler:
    async def asset(_: Request) -> Response:
        content = resources.files(f"{__package__}.console").joinpath("templates", name).read_bytes()
        return Response(content, media_type=media_type, headers=_SECURITY_HEADERS)

    return asset
