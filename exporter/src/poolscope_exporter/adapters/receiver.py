"""Receive OTLP over HTTP: answer every request, whatever it holds, and go on."""

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from poolscope_exporter.adapters.otlp import (
    Decoded,
    MalformedPushError,
    decode,
    parse_json,
    parse_protobuf,
)
from poolscope_exporter.adapters.senders import Hear, Senders, Speaker

PATH = "/v1/metrics"
MAX_BODY = 4 * 1024 * 1024
MAX_DECOMPRESSED = 16 * 1024 * 1024
MAX_GZIP_MEMBERS = 16
BODY_DEADLINE_S = 10.0

_LARGE_BODY = 64 * 1024
"""Bytes beyond which decoding leaves the event loop, so that others need not wait for it."""

_Result = TypeVar("_Result")

_GZIP = 16 + zlib.MAX_WBITS


class Outcome(Enum):
    """How a request was answered; the values are those of the receiver's counter."""

    OK = "ok"
    PARTIAL = "partial"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNAUTHORIZED = "unauthorized"


_ANSWERS = {
    Outcome.MALFORMED: (HTTPStatus.BAD_REQUEST, Code.INVALID_ARGUMENT),
    Outcome.UNSUPPORTED: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Code.INVALID_ARGUMENT),
    Outcome.TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Code.RESOURCE_EXHAUSTED),
    Outcome.TOO_SLOW: (HTTPStatus.REQUEST_TIMEOUT, Code.DEADLINE_EXCEEDED),
    Outcome.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, Code.UNAUTHENTICATED),
}


class Encoding(Enum):
    """The two encodings of OTLP over HTTP."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"

    def parse(self, body: bytes) -> ExportMetricsServiceRequest:
        """Return the request that the body holds; raises MalformedPushError."""
        return parse_json(body) if self is Encoding.JSON else parse_protobuf(body)

    def render(self, message: Message) -> bytes:
        """Return the message as a body."""
        if self is Encoding.JSON:
            return json_format.MessageToJson(message, indent=None).encode()
        return message.SerializeToString()


@dataclass(slots=True)
class ReceiverCounts:
    """What the receiver did so far: requests by outcome, refused points by reason."""

    requests: Counter[str] = field(
        default_factory=lambda: Counter({outcome.value: 0 for outcome in Outcome})
    )
    refused: Counter[str] = field(default_factory=Counter)


class RefusedError(Exception):
    """A request is answered with an error; the message is for its sender."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


Forward = Callable[[bytes, bool], None]
"""Takes the body of a request that was heard, and whether it is JSON."""


def create_receiver(
    hear: Hear, senders: Senders | None, counts: ReceiverCounts, forward: Forward | None = None
) -> FastAPI:
    """Return the application that takes pushes, hands each to `hear`, and passes bodies on.

    `senders` says who may push, None lets everybody; `forward` must not wait.
    """
    app = FastAPI(openapi_url=None)

    async def receive(request: Request) -> Response:
        encoding = _encoding(request) or Encoding.PROTOBUF
        try:
            speaker = Speaker(hear, senders, _owner(request, senders))
            body = await _body(request)
            decoded = await _decoded(body, _checked_encoding(request))
        except RefusedError as exc:
            counts.requests[exc.outcome.value] += 1
            return _refusal(exc, encoding)
        rejected, reason = _hear_all(decoded, speaker.hear, counts)
        if forward and not speaker.was_refused:
            forward(body, encoding is Encoding.JSON)
        outcome = Outcome.PARTIAL if rejected else Outcome.OK
        counts.requests[outcome.value] += 1
        return _acceptance(rejected, reason, encoding)

    # A plain route: FastAPI's own would spend more on a push than most of what we do with it.
    app.router.routes.append(Route(PATH, receive, methods=["POST"]))
    return app


def _owner(request: Request, senders: Senders | None) -> str | None:
    """Return whose token the request bears, None where none is needed; raises RefusedError."""
    owner = senders.owner_of(request) if senders else None
    if senders and owner is None:
        raise RefusedError(
            Outcome.UNAUTHORIZED,
            "this exporter needs a token: set POOLSCOPE_TOKEN in the application to the exporter's",
        )
    return owner


def _encoding(request: Request) -> Encoding | None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return Encoding(media_type)
    except ValueError:
        return None


def _checked_encoding(request: Request) -> Encoding:
    encoding = _encoding(request)
    if encoding is None:
        accepted = " or ".join(each.value for each in Encoding)
        raise RefusedError(Outcome.UNSUPPORTED, f"the Content-Type must be {accepted}")
    return encoding


async def _body(request: Request) -> bytes:
    """Return the decompressed body, having read no more than the limits allow."""
    compression = request.headers.get("content-encoding", "identity").strip().lower()
    if compression not in ("identity", "gzip"):
        raise RefusedError(Outcome.UNSUPPORTED, "the Content-Encoding must be gzip or identity")
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            body = await _read(request)
    except TimeoutError:
        raise RefusedError(
            Outcome.TOO_SLOW, f"the body did not arrive within {BODY_DEADLINE_S:g} s"
        ) from None
    except ClientDisconnect:
        raise RefusedError(Outcome.MALFORMED, "the sender went away") from None
    if compression == "gzip":
        return await _off_loop(_decompress, body)
    return body


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        raise _too_large(MAX_BODY)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise _too_large(MAX_BODY)
    return bytes(body)


def _decompress(body: bytes) -> bytes:
    """Return the contents of a gzip file, its members one after the other, never beyond the limit.

    Raises RefusedError.
    """
    contents = bytearray()
    for _ in range(MAX_GZIP_MEMBERS):
        if not body:
            return bytes(contents)
        member = zlib.decompressobj(_GZIP)
        try:
            contents += member.decompress(body, MAX_DECOMPRESSED + 1 - len(contents))
        except zlib.error as exc:
            raise RefusedError(Outcome.MALFORMED, "the body is not gzip") from exc
        if len(contents) > MAX_DECOMPRESSED:
            raise _too_large(MAX_DECOMPRESSED)
        if not member.eof:
            raise RefusedError(Outcome.MALFORMED, "the body is gzip that ends too early")
        body = member.unused_data
    raise RefusedError(Outcome.MALFORMED, "the body is gzip of too many members")


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        Outcome.TOO_LARGE, f"the body exceeds {limit // (1024 * 1024)} MiB; send smaller requests"
    )


async def _decoded(body: bytes, encoding: Encoding) -> Decoded:
    try:
        return await _off_loop(lambda data: decode(encoding.parse(data)), body)
    except MalformedPushError as exc:
        raise RefusedError(Outcome.MALFORMED, str(exc)) from exc


async def _off_loop(work: Callable[[bytes], _Result], body: bytes) -> _Result:
    """Return the work's result; where the body is large, compute it beside the event loop."""
    if len(body) > _LARGE_BODY:
        return await asyncio.to_thread(work, body)
    return work(body)


def _hear_all(decoded: Decoded, hear: Hear, counts: ReceiverCounts) -> tuple[int, str]:
    """Return how many points were refused, and why."""
    counts.refused.update(decoded.refused)
    rejected = sum(decoded.refused.values())
    reasons = [*decoded.refused]
    for push in decoded.pushes:
        heard = hear(push)
        rejected += heard.rejected_points
        reasons += [heard.reason] if heard.reason else []
    return rejected, ", ".join(dict.fromkeys(reasons))


def _acceptance(rejected: int, reason: str, encoding: Encoding) -> Response:
    answer = ExportMetricsServiceResponse()
    if rejected:
        answer.partial_success.rejected_data_points = rejected
        answer.partial_success.error_message = reason
    return Response(encoding.render(answer), media_type=encoding.value)


def _refusal(refused: RefusedError, encoding: Encoding) -> Response:
    """Return the answer that OTLP asks for: a google.rpc.Status in the request's encoding."""
    http_status, code = _ANSWERS[refused.outcome]
    status = Status(code=code, message=str(refused))
    return Response(encoding.render(status), http_status, media_type=encoding.value)
