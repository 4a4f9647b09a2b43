"""Document what the web listener serves, as OpenAPI: one entry per path, next to its example."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from poolscope_exporter.version import __version__
from poolscope_exporter.web.api_answers import CheckoutsAnswer, PoolsAnswer

Json = Mapping[str, Any]

TEXT, HTML, CSS, JSON = "text/plain", "text/html", "text/css", "application/json"

_TITLE = "poolscope exporter"
_DESCRIPTION = (
    "What the exporter knows of pools and of the connections that are held. All answers are of"
    " one moment. Without a token, guarded paths answer only callers on the exporter's own"
    " machine; with one, whoever sends it: as a bearer token, or as the password of any user."
)
_SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic"},
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"password": []}, {}]
"""The last one is for callers on the same machine, where no token is set."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET of the web listener; `is_guarded`: only for callers that may see who holds what.

    `answer` is the schema of a JSON answer, `example` the file that holds one. `errors` are the
    statuses that it answers beside 200, with what each means.
    """

    path: str
    tag: str
    summary: str
    media_type: str
    is_guarded: bool = False
    answer: type[BaseModel] | None = None
    example: str | None = None
    errors: Mapping[HTTPStatus, str] | None = None


OPERATIONS: Final = (
    Operation(
        "/api/v1/checkouts", "api", "Held checkouts, with the session behind each", JSON,
        is_guarded=True, answer=CheckoutsAnswer, example="checkouts.json",
    ),
    Operation(
        "/api/v1/pools", "api", "Pools, with diagnosis and checks of their configuration", JSON,
        is_guarded=True, answer=PoolsAnswer, example="pools.json",
    ),
    Operation("/metrics", "operation", "Series for Prometheus, in the format it asks for", TEXT),
    Operation("/healthz", "operation", "The process runs", TEXT),
    Operation(
        "/readyz", "operation", "The receiver is up", TEXT,
        errors={HTTPStatus.SERVICE_UNAVAILABLE: "The receiver is not up."},
    ),
    Operation("/", "pages", "Live page", HTML, is_guarded=True),
    Operation("/docs", "pages", "This document, for people", HTML, is_guarded=True),
    Operation("/openapi.json", "pages", "This document", JSON, is_guarded=True),
    Operation("/page.css", "pages", "Style of the pages", CSS),
)  # fmt: skip

_GUARDED_ERRORS: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "A token is set, and the request shows none of its tokens.",
    HTTPStatus.FORBIDDEN: "No token is set, and the request does not come from this machine.",
}


def route_options(operation: Operation) -> dict[str, Any]:
    """Return what documents an operation, as options of FastAPI's `add_api_route`."""
    errors = {**(operation.errors or {}), **(_GUARDED_ERRORS if operation.is_guarded else {})}
    return {
        "summary": operation.summary,
        "tags": [operation.tag],
        "operation_id": _operation_id(operation.path),
        # Without a model of its own, FastAPI neither validates nor copies an answer.
        "response_model": None,
        "response_class": Response,
        "responses": {HTTPStatus.OK.value: _answer(operation)}
        | {status.value: _error(meaning) for status, meaning in errors.items()},
        "openapi_extra": {"security": _SECURITY} if operation.is_guarded else None,
    }


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the document of all routes of the application."""
    document = get_openapi(
        title=_TITLE, version=__version__, description=_DESCRIPTION, routes=app.routes
    )
    document.setdefault("components", {})["securitySchemes"] = _SECURITY_SCHEMES
    for operation in OPERATIONS:
        if operation.example:
            # Not as an option of the route: FastAPI drops every null of an example.
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
