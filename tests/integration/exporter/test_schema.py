"""What we promise of the HTTP API holds for whatever schemathesis asks of both listeners."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from poolscope_exporter.web.openapi import EVENTS, OPERATIONS
from support.exporter.exporter_process import ExporterProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
LONG = os.environ.get("RANDOM_RUNS") == "long"
MANY = settings(
    max_examples=200 if LONG else 25, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
ENDING = [each.path for each in OPERATIONS if each.media_type != EVENTS]
"""The paths with an answer that ends; a stream of events goes on for as long as it is read."""

TEXT, JSON, PROTOBUF = "text/plain", "application/json", "application/x-protobuf"


ANYTHING = ("If-None-Match", "X-Anything")
"""Query parameters and headers that no path documents, and somebody sends all the same."""

ANY_JSON = {"schema": {"type": "object", "properties": {"resourceMetrics": {"type": "array"}}}}
OTLP: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "otlp", "version": "1"},
    "paths": {
        "/v1/metrics": {
            "post": {
                "requestBody": {
                    "content": {
                        JSON: ANY_JSON,
                        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
                        TEXT: {"schema": {"type": "string"}},
                    }
                },
                "parameters": [
                    {"name": "Content-Encoding", "in": "header", "schema": {"type": "string"}}
                ],
                "responses": {
                    status: {"description": "", "content": {JSON: {}, PROTOBUF: {}}}
                    for status in ("200", "400", "408", "413", "415")
                },
            }
        }
    },
}


@pytest.fixture(scope="module")
def exporter() -> Iterator[ExporterProcess]:
    with ExporterProcess() as running:
        yield running


@schemathesis.serializer(PROTOBUF)
def as_bytes(_: Any, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode(errors="replace")


otlp = schemathesis.openapi.from_dict(dict(OTLP))


Operation = APIOperation[Any, Any, Any, Any]


def operations(schema: BaseSchema) -> list[Operation]:
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@pytest.fixture(scope="module")
def web_operations(exporter: ExporterProcess) -> Mapping[str, Operation]:
    """Return what the running exporter documents, by path, with parameters that nobody reads."""
    document = exporter.get("/openapi.json").json()
    for methods in document["paths"].values():
        parts = [each for each in methods["get"].get("parameters", ()) if each["in"] == "path"]
        methods["get"]["parameters"] = [
            *parts,
            *(
                {"name": name, "in": where, "schema": {"type": "string"}}
                for name in ANYTHING
                for where in ("query", "header")
            ),
        ]
    found = operations(schemathesis.openapi.from_dict(document))
    return {operation.path: operation for operation in found}


@pytest.mark.parametrize("path", ENDING)
def test_page_metrics_and_api_answer_as_documented(
    path: str, web_operations: Mapping[str, Operation], exporter: ExporterProcess
) -> None:
    check(web_operations[path], exporter.web)


@pytest.mark.parametrize("operation", operations(otlp), ids=str)
def test_the_receiver_answers_as_promised(operation: Operation, exporter: ExporterProcess) -> None:
    check(operation, exporter.otlp)


def check(operation: Operation, url: str) -> None:
    """Ask whatever comes to mind; schemathesis' own pytest plugin keeps other tests' objects."""

    @MANY
    @given(case=operation.as_strategy())
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()
