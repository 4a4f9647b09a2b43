"""Document the paths of the web listener as OpenAPI: one entry per path, next to its example."""

import json
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
from poolscope_exporter.web.profile.profile_answers import ProfileAnswer
from poolscope_exporter.web.profile.profile_rows import PARAMETERS as PROFILE_PARAMETERS
from poolscope_exporter.web.selection import PARAMETERS

Json = Mapping[str, Any]

TEXT, HTML, CSS, JSON = "text/plain", "text/html", "text/css", "application/json"

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


_WRONG_QUERY: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The query has an unknown parameter or an invalid value."
}

_PARAMETER_TYPES: Final = {"limit": "integer", "window": "number"}

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
        "/api/v1/profile", "api", "Time of connections that were out, by what kept them", JSON,
        is_guarded=True, answer=ProfileAnswer, example="profile.json", has_query=True,
        errors=_WRONG_QUERY, parameters=PROFILE_PARAMETERS,
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
        "/", "pages", "Live page", HTML, is_guarded=True, errors=_WRONG_QUERY, has_query=True,
    ),
    Operation("/docs", "pages", "This document as a page", HTML, is_guarded=True),
    Operation("/openapi.json", "pages", "This document", JSON, is_guarded=True),
    Operation("/page.css", "pages", "Style of the pages", CSS),
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
    if operation.has_query:
        extra["parameters"] = [
            {
                "name": name,
                "in": "query",
                "description": meaning,
                "schema": {"type": _PARAMETER_TYPES.get(name, "string")},
            }
            for name, meaning in operation.parameters.items()
        ]
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
    return path.strip("/").replace("/", "_").replace(".", "_") or "page"


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
