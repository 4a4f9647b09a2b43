"""Document the paths of the web listener as OpenAPI: one entry per path, next to its example."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from poolscope_exporter.version import __version__
from poolscope_exporter.web.api_answers import BlockersAnswer, CheckoutsAnswer, PoolsAnswer
from poolscope_exporter.web.console.page_query import PARAMETERS as PAGE_PARAMETERS
from poolscope_exporter.web.incidents.incident_answers import IncidentsAnswer
from poolscope_exporter.web.incidents.incident_rows import PARAMETERS as INCIDENT_PARAMETERS
from poolscope_exporter.web.profile.profile_answers import ProfileAnswer
from poolscope_exporter.web.profile.profile_rows import PARAMETERS as PROFILE_PARAMETERS
from poolscope_exporter.web.releases.release_answers import ReleasesAnswer
from poolscope_exporter.web.releases.release_rows import PARAMETERS as RELEASE_PARAMETERS
from poolscope_exporter.web.selection import PARAMETERS
from poolscope_exporter.web.setup.setup_answers import SetupAnswer

Json = Mapping[str, Any]

TEXT, HTML, CSS, JSON = "text/plain", "text/html", "text/css", "application/json"
SCRIPT, EVENTS = "text/javascript", "text/event-stream"

POOL_PATH: Final = "/pool/{service}/{pool}"
LIVE_PATH: Final = "/live"

_TITLE = "poolscope exporter"
_DESCRIPTION = (
    "The exporter's data on pools and held connections. All values of an answer are from one"
    " moment. If no token is set, guarded paths answer only callers on the exporter's machine."
    " If one is set, send it as a bearer token, or as the password of any user."
)
_SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic"},
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"password": []}, {}]
"""The last entry is for callers on the same machine if no token is set."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET of the web listener.

    A path with `is_guarded` answers only callers that may see held checkouts. The schema of a JSON
    answer is `answer`; `example` is the file with one. The statuses other than 200, with their
    meaning, are `errors`. If `has_query` is True, the path takes `parameters`.
    """

    path: str
    tag: str
    summary: str
    media_type: str
    is_guarded: bool = False
    answer: type[BaseModel] | None = None
    example: str | None = None
    errors: Mapping[HTTPStatus, str] | None = None
    has_query: bool = False
    parameters: Mapping[str, str] = field(default_factory=lambda: PARAMETERS)

    @property
    def route(self) -> str:
        """Return the path for the router: with escaped slashes, a name has several parts."""
        return self.path.replace("{pool}", "{pool:path}")


_WRONG_QUERY: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The query has an unknown parameter or an invalid value."
}

_POOL_ERRORS: Mapping[HTTPStatus, str] = {
    **_WRONG_QUERY,
    HTTPStatus.NOT_FOUND: "The address does not have a service and a pool.",
}
_LIVE_ERRORS: Mapping[HTTPStatus, str] = {
    **_POOL_ERRORS,
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many pages are open with live updates.",
}

_PARAMETER_TYPES: Final = {"limit": "integer", "window": "number", "refresh": "integer"}

# The address itself has the service and the pool.
_POOL_PARAMETERS: Final = {
    name: meaning
    for name, meaning in PAGE_PARAMETERS.items()
    if name not in ("service", "pool", "q")
}
_SINCE: Final = {"since": "Token of the page that the changes continue."}
_LIVE_PARAMETERS: Final = {**PAGE_PARAMETERS, **_SINCE}
_LIVE_POOL_PARAMETERS: Final = {**_POOL_PARAMETERS, **_SINCE}

OPERATIONS: Final = (
    Operation(
        "/api/v1/checkouts", "api", "Held checkouts, with the session behind each", JSON,
        is_guarded=True, answer=CheckoutsAnswer, example="checkouts.json", has_query=True,
        errors=_WRONG_QUERY,
    ),
    Operation(
        "/api/v1/pools", "api", "Pools, with diagnosis and configuration checks", JSON,
        is_guarded=True, answer=PoolsAnswer, example="pools.json", has_query=True,
        errors=_WRONG_QUERY,
    ),
    Operation(
        "/api/v1/blockers", "api", "Sessions that keep others waiting for a lock", JSON,
        is_guarded=True, answer=BlockersAnswer, example="blockers.json", has_query=True,
        errors=_WRONG_QUERY,
    ),
    Operation(
        "/api/v1/profile", "api", "Time of connections that were out, by line and call", JSON,
        is_guarded=True, answer=ProfileAnswer, example="profile.json", has_query=True,
        errors=_WRONG_QUERY, parameters=PROFILE_PARAMETERS,
    ),
    Operation(
        "/api/v1/incidents", "api", "Incidents, with the pool at its worst moment", JSON,
        is_guarded=True, answer=IncidentsAnswer, example="incidents.json", has_query=True,
        errors=_WRONG_QUERY, parameters=INCIDENT_PARAMETERS,
    ),
    Operation(
        "/api/v1/releases", "api", "Versions of each service, to compare two releases", JSON,
        is_guarded=True, answer=ReleasesAnswer, example="releases.json", has_query=True,
        errors=_WRONG_QUERY, parameters=RELEASE_PARAMETERS,
    ),
    Operation(
        "/api/v1/settings", "api", "Settings without secrets, and versions", JSON,
        is_guarded=True, answer=SetupAnswer, example="settings.json",
    ),
    Operation(
        "/metrics", "operation", "Series for Prometheus, in the requested format", TEXT,
        errors={HTTPStatus.SERVICE_UNAVAILABLE: "Too many scrapes are in progress."},
    ),
    Operation("/healthz", "operation", "The process runs", TEXT),
    Operation(
        "/readyz", "operation", "The receiver is up", TEXT,
        errors={HTTPStatus.SERVICE_UNAVAILABLE: "The receiver is not up."},
    ),
    Operation(
        "/", "pages", "Start page", HTML, is_guarded=True, errors=_WRONG_QUERY, has_query=True,
        parameters=PAGE_PARAMETERS,
    ),
    Operation(
        POOL_PATH, "pages", "Page of one pool", HTML, is_guarded=True, errors=_POOL_ERRORS,
        has_query=True, parameters=_POOL_PARAMETERS,
    ),
    Operation(
        LIVE_PATH, "pages", "Changes of the start page", EVENTS, is_guarded=True,
        errors=_LIVE_ERRORS, has_query=True, parameters=_LIVE_PARAMETERS,
    ),
    Operation(
        LIVE_PATH + POOL_PATH, "pages", "Changes of the page of one pool", EVENTS, is_guarded=True,
        errors=_LIVE_ERRORS, has_query=True, parameters=_LIVE_POOL_PARAMETERS,
    ),
    Operation(
        "/incidents", "pages", "Page of incidents", HTML, is_guarded=True, errors=_WRONG_QUERY,
        has_query=True, parameters=INCIDENT_PARAMETERS,
    ),
    Operation("/docs", "pages", "This document as a page", HTML, is_guarded=True),
    Operation("/openapi.json", "pages", "This document", JSON, is_guarded=True),
    Operation("/page.css", "pages", "Style of the pages", CSS),
    Operation("/page.js", "pages", "Updates of the pages in a browser", SCRIPT),
    Operation("/copy.js", "pages", "Copy buttons of the pages in a browser", SCRIPT),
)  # fmt: skip

_GUARDED_ERRORS: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "A token is set, and the request has no valid token.",
    HTTPStatus.FORBIDDEN: "No token is set, and the request does not come from this machine.",
}


def route_options(operation: Operation) -> dict[str, Any]:
    """Return the documentation of an operation, as options of FastAPI's `add_api_route`."""
    errors = {**(operation.errors or {}), **(_GUARDED_ERRORS if operation.is_guarded else {})}
    return {
        "summary": operation.summary,
        "tags": [operation.tag],
        "operation_id": _operation_id(operation.path),
        # With a response model, FastAPI would validate and copy each answer.
        "response_model": None,
        "response_class": Response,
        "responses": {HTTPStatus.OK.value: _answer(operation)}
        | {status.value: _error(meaning) for status, meaning in errors.items()},
        "openapi_extra": _extra(operation),
    }


def _extra(operation: Operation) -> dict[str, Any] | None:
    extra: dict[str, Any] = {"security": _SECURITY} if operation.is_guarded else {}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", operation.path)
    ]
    if operation.has_query:
        parameters += [
            {
                "name": name,
                "in": "query",
                "description": meaning,
                "schema": {"type": _PARAMETER_TYPES.get(name, "string")},
            }
            for name, meaning in operation.parameters.items()
        ]
    if parameters:
        extra["parameters"] = parameters
    return extra or None


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of all routes of the application."""
    document = get_openapi(
        title=_TITLE, version=__version__, description=_DESCRIPTION, routes=app.routes
    )
    document.setdefault("components", {})["securitySchemes"] = _SECURITY_SCHEMES
    for operation in OPERATIONS:
        if operation.example:
            # Set here because FastAPI drops every null from an example in a route's options.
            content = document["paths"][operation.path]["get"]["responses"]["200"]["content"]
            content[operation.media_type]["example"] = _example(operation.example)
    return document


def _example(name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath("examples", name).read_bytes())


def _operation_id(path: str) -> str:
    words = re.findall(r"\w+", path)
    return "_".join(words) or "page"


def _answer(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.media_type != JSON:
        content["schema"] = {"type": "string"}
    elif operation.answer is None:
        content["schema"] = {"type": "object"}
    model = {"model": operation.answer} if operation.answer else {}
    return {**model, "description": operation.summary, "content": {operation.media_type: content}}


def _error(meaning: str) -> dict[str, Any]:
    return {"description": meaning, "content": {TEXT: {"schema": {"type": "string"}}}}
