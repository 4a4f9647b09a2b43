"""Receive OTLP over HTTP: answer every request, whatever it holds, and go on."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from starlette.routing import Route

from poolscope_exporter.core.fleet.limits import Limits
from poolscope_exporter.receiver.bodies import BodyReader, RequestBody
from poolscope_exporter.receiver.decode import (
    Decoded,
    MalformedPushError,
    TooManyMessagesError,
    decode,
    parse_json,
    parse_protobuf,
)
from poolscope_exporter.receiver.refusals import Outcome, RefusedError
from poolscope_exporter.receiver.senders import AcceptPush, RequestSender, Senders

DEFAULT_LIMITS = Limits()
PATH = "/v1/metrics"
RETRY_AFTER_S = 5


_ANSWERS = {
    Outcome.MALFORMED: (HTTPStatus.BAD_REQUEST, Code.INVALID_ARGUMENT),
    Outcome.UNSUPPORTED: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Code.INVALID_ARGUMENT),
    Outcome.TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Code.RESOURCE_EXHAUSTED),
    Outcome.TOO_SLOW: (HTTPStatus.REQUEST_TIMEOUT, Code.DEADLINE_EXCEEDED),
    Outcome.OVERLOADED: (HTTPStatus.SERVICE_UNAVAILABLE, Code.UNAVAILABLE),
    Outcome.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, Code.UNAUTHENTICATED),
}


class Encoding(Enum):
    """The two encodings of OTLP over HTTP."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"

    def parse(self, body: bytes) -> ExportMetricsServiceRequest:
        """Return the request that the body holds; raises MalformedPushError."""
        return parse_json(body) if self is Encoding.JSON else parse_protobuf(body)

    def encode(self, message: Message) -> bytes:
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


Forward = Callable[[bytes, bool], None]
"""Takes the body of a request that was accepted, and whether it is JSON."""


def create_receiver(
    accept: AcceptPush,
    senders: Senders | None,
    counts: ReceiverCounts,
    forward: Forward | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> FastAPI:
    """Return the application that takes pushes, hands each to `accept`, and passes bodies on.

    `senders` says who may push, None lets everybody; `forward` must not wait.
    """
    app = FastAPI(openapi_url=None)
    bodies = BodyReader(limits)

    async def receive(request: Request) -> Response:
        encoding = _encoding(request) or Encoding.PROTOBUF
        try:
            sender = RequestSender(accept, senders, _owner(request, senders))
            async with bodies.read_body(request) as body:
                decoded, contents = await _decoded(body, _checked_encoding(request))
        except RefusedError as exc:
            counts.requests[exc.outcome.value] += 1
            return _refusal(exc, encoding)
        rejected, reason = await _accept_all(decoded, sender.accept_owned_push, counts)
        if forward and not sender.was_refused:
            forward(contents, encoding is Encoding.JSON)
        outcome = Outcome.PARTIAL if rejected else Outcome.OK
        counts.requests[outcome.value] += 1
        return _acceptance(rejected, reason, encoding)

    # A plain route: FastAPI's own would spend more on a push than most of what we do with it.
    app.router.routes.append(Route(PATH, receive, methods=["POST"]))
    return app


def _owner(request: Request, senders: Senders | None) -> str | None:
    """Return whose token the request bears, None where none is needed; raises RefusedError."""
    owner = senders.owner_of_request(request) if senders else None
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


async def _decoded(body: RequestBody, encoding: Encoding) -> tuple[Decoded, bytes]:
    """Return what the body says, and its decompressed contents; raises RefusedError."""

    def read(contents: bytes) -> tuple[Decoded, bytes]:
        return decode(encoding.parse(contents)), contents

    try:
        return await body.decode_with(read)
    except TooManyMessagesError:
        raise RefusedError(
            Outcome.TOO_LARGE, "the body holds too much for one request; send smaller requests"
        ) from None
    except MalformedPushError as exc:
        raise RefusedError(Outcome.MALFORMED, str(exc)) from exc


async def _accept_all(
    decoded: Decoded, accept: AcceptPush, counts: ReceiverCounts
) -> tuple[int, str]:
    """Return how many points were refused, and why."""
    counts.refused.update(decoded.refused)
    rejected = sum(decoded.refused.values())
    reasons = [*decoded.refused]
    for push in decoded.pushes:
        result = accept(push)
        if len(decoded.pushes) > 1:
            await asyncio.sleep(0)  # others need not wait for all that one request brings
        rejected += result.rejected_points
        reasons += [result.reason] if result.reason else []
    return rejected, ", ".join(dict.fromkeys(reasons))


def _acceptance(rejected: int, reason: str, encoding: Encoding) -> Response:
    answer = ExportMetricsServiceResponse()
    if rejected:
        answer.partial_success.rejected_data_points = rejected
        answer.partial_success.error_message = reason
    return Response(encoding.encode(answer), media_type=encoding.value)


def _refusal(refused: RefusedError, encoding: Encoding) -> Response:
    """Return the answer that OTLP asks for: a google.rpc.Status in the request's encoding."""
    http_status, code = _ANSWERS[refused.outcome]
    status = Status(code=code, message=str(refused))
    is_busy = refused.outcome is Outcome.OVERLOADED
    headers = {"Retry-After": str(RETRY_AFTER_S)} if is_busy else None
    return Response(encoding.encode(status), http_status, headers, encoding.value)
