"""Receive OTLP over HTTP; every request gets an answer, also a malformed one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
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
from starlette.routing import Route

from poolscope.catalogue import INTERVAL_HEADER
from poolscope_exporter import clock
from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.core.fleet.fleet import PushResult
from poolscope_exporter.core.model.pushes import Push
from poolscope_exporter.listeners.access import names_this_machine
from poolscope_exporter.receiver.bodies import BodyReader, RequestBody
from poolscope_exporter.receiver.decode import (
    Decoded,
    MalformedPushError,
    TooManyMessagesError,
    decode,
    parse_json,
    parse_protobuf,
)
from poolscope_exporter.receiver.fast_pushes import FastPushes
from poolscope_exporter.receiver.other_signals import (
    OTHER_SIGNALS,
    OtherSignal,
    count_json,
    count_protobuf,
)
from poolscope_exporter.receiver.refusals import Outcome, RefusedError
from poolscope_exporter.receiver.senders import AcceptPush, RequestSender, Senders

_Parsed = TypeVar("_Parsed")

DEFAULT_LIMITS = Limits()
PATH = "/v1/metrics"
METRICS = "metrics"
RETRY_AFTER_S = 5


_ANSWERS = {
    Outcome.MALFORMED: (HTTPStatus.BAD_REQUEST, Code.INVALID_ARGUMENT),
    Outcome.UNSUPPORTED: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Code.INVALID_ARGUMENT),
    Outcome.TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Code.RESOURCE_EXHAUSTED),
    Outcome.TOO_SLOW: (HTTPStatus.REQUEST_TIMEOUT, Code.DEADLINE_EXCEEDED),
    Outcome.OVERLOADED: (HTTPStatus.SERVICE_UNAVAILABLE, Code.UNAVAILABLE),
    Outcome.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, Code.UNAUTHENTICATED),
    Outcome.FOREIGN_HOST: (HTTPStatus.FORBIDDEN, Code.PERMISSION_DENIED),
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
    """The receiver's counts since the start.

    They are requests by outcome, refused points by reason, and ignored records by signal. Ignored
    are points of metrics that are not about pools, spans and log records.
    """

    requests: Counter[str] = field(
        default_factory=lambda: Counter({outcome.value: 0 for outcome in Outcome})
    )
    refused: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(
        default_factory=lambda: Counter({METRICS: 0} | {each.name: 0 for each in OTHER_SIGNALS})
    )


Forward = Callable[[bytes, bool], None]
"""A function of the body of an accepted request, and of whether it is JSON."""


def create_receiver(
    accept: AcceptPush,
    senders: Senders | None,
    counts: ReceiverCounts,
    forward: Forward | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> FastAPI:
    """Return the HTTP application that passes each push to `accept` and each body to `forward`.

    `senders` checks the tokens; with None, anybody may push. `forward` must not wait.
    """
    app = FastAPI(openapi_url=None)
    receiver = _Receiver(accept, senders, counts, forward, limits)
    # Plain Starlette routes: FastAPI's routing would cost more than most other steps of a push.
    app.router.routes.append(Route(PATH, receiver.receive_metrics, methods=["POST"]))
    for signal in OTHER_SIGNALS:
        endpoint = _endpoint_of(receiver.reject_signal, signal)
        app.router.routes.append(Route(signal.path, endpoint, methods=["POST"]))
    return app


class _Receiver:
    """The answers to the requests of each signal; see `create_receiver`."""

    def __init__(
        self,
        accept: AcceptPush,
        senders: Senders | None,
        counts: ReceiverCounts,
        forward: Forward | None,
        limits: Limits,
    ) -> None:
        self._senders = senders
        self._counts = counts
        self._forward = forward
        self._bodies = BodyReader(limits)
        self._fast = FastPushes(limits.max_instances)
        self._accept = _recording_pressure(accept, self._fast)

    async def receive_metrics(self, request: Request) -> Response:
        """Accept the pushes of a request, and forward its body unless a push was refused."""
        encoding = _encoding(request) or Encoding.PROTOBUF
        counts = self._counts
        try:
            owner = _owner(request, self._senders)
            sender = RequestSender(self._accept, self._senders, owner)
            async with self._bodies.read_body(request, owner or _address(request)) as body:
                parse = partial(_parsed, _checked_encoding(request))
                decoded, contents = await _decoded(body, parse)
        except RefusedError as exc:
            counts.requests[exc.outcome.value] += 1
            return _refusal(exc, encoding)
        rejected, reason = await _accept_all(decoded, sender.accept_owned_push, counts)
        if self._forward and not sender.was_refused:
            self._forward(contents, encoding is Encoding.JSON)
        outcome = Outcome.PARTIAL if rejected else Outcome.OK
        counts.requests[outcome.value] += 1
        return _acceptance(rejected, reason, encoding, _allowed(decoded, self._fast))

    async def reject_signal(self, request: Request, signal: OtherSignal) -> Response:
        """Count the records of a request that is not about metrics, and reject them all."""
        encoding = _encoding(request) or Encoding.PROTOBUF
        try:
            owner = _owner(request, self._senders)
            async with self._bodies.read_body(request, owner or _address(request)) as body:
                count = await _decoded(body, partial(_counted, _checked_encoding(request), signal))
        except RefusedError as exc:
            self._counts.requests[exc.outcome.value] += 1
            return _refusal(exc, encoding)
        self._counts.requests[Outcome.IGNORED.value] += 1
        self._counts.ignored[signal.name] += count
        return Response(encoding.encode(signal.rejection(count)), media_type=encoding.value)


def _endpoint_of(
    reject: Callable[[Request, OtherSignal], Awaitable[Response]], signal: OtherSignal
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await reject(request, signal)

    return endpoint


def _owner(request: Request, senders: Senders | None) -> str | None:
    """Return the owner of the request's token, None if no token is needed; raises RefusedError."""
    if senders is None:
        _check_host(request)
        return None
    owner = senders.owner_of_request(request)
    if owner is None:
        raise RefusedError(
            Outcome.UNAUTHORIZED,
            "missing or wrong token: set POOLSCOPE_TOKEN in the application to a token"
            " that this exporter accepts",
        )
    return owner


def _check_host(request: Request) -> None:
    """Raise RefusedError if the request may come from a web page, by DNS rebinding.

    Without a token, the receiver listens on loopback only, so honest senders name a loopback host.
    """
    if not names_this_machine(request):
        raise RefusedError(
            Outcome.FOREIGN_HOST,
            "without a token, only pushes to 127.0.0.1 or localhost are accepted: set"
            " POOLSCOPE_ENDPOINT to such a URL, or set POOLSCOPE_TOKEN in the exporter and in the"
            " application",
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


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


def _parsed(encoding: Encoding, contents: bytes) -> tuple[Decoded, bytes]:
    """Return the pushes of a request of metrics, and its decompressed body."""
    return decode(encoding.parse(contents)), contents


def _counted(encoding: Encoding, signal: OtherSignal, contents: bytes) -> int:
    """Return the number of records of a request of another signal."""
    is_json = encoding is Encoding.JSON
    return count_json(contents, signal) if is_json else count_protobuf(contents)


async def _decoded(body: RequestBody, parse: Callable[[bytes], _Parsed]) -> _Parsed:
    """Return the result of `parse` for the decompressed body; raises RefusedError."""
    try:
        return await body.decode_with(parse)
    except TooManyMessagesError:
        raise RefusedError(
            Outcome.TOO_LARGE,
            "the body has too many elements for one request; send smaller requests",
        ) from None
    except MalformedPushError as exc:
        raise RefusedError(Outcome.MALFORMED, str(exc)) from exc


async def _accept_all(
    decoded: Decoded, accept: AcceptPush, counts: ReceiverCounts
) -> tuple[int, str]:
    """Return the number of refused points, and the reasons."""
    counts.refused.update(decoded.refused)
    counts.ignored[METRICS] += decoded.ignored
    rejected = sum(decoded.refused.values())
    reasons = [*decoded.refused]
    for push in decoded.pushes:
        result = accept(push)
        if len(decoded.pushes) > 1:
            await asyncio.sleep(0)  # one request with many pushes must not block others
        rejected += result.rejected_points
        reasons += [each for each in (result.reason, result.warning) if each]
    return rejected, ", ".join(dict.fromkeys(reasons))


def _recording_pressure(accept: AcceptPush, fast: FastPushes) -> AcceptPush:
    """Return `accept` with a step after it that records the pressure of each accepted push.

    A refused push must not count: it would slow down the fast pushes of all other senders.
    """

    def accept_and_record(push: Push) -> PushResult:
        result = accept(push)
        if result.accepted and push.sequence is not None:
            fast.record_pressure(push, clock.monotonic())
        return result

    return accept_and_record


def _allowed(decoded: Decoded, fast: FastPushes) -> dict[str, str]:
    """Return the header with the push interval for poolscope's senders under pressure."""
    if all(push.sequence is None for push in decoded.pushes):
        return {}
    return {INTERVAL_HEADER: f"{fast.allowed_interval_s(clock.monotonic()):g}"}


def _acceptance(
    rejected: int, reason: str, encoding: Encoding, headers: dict[str, str]
) -> Response:
    answer = ExportMetricsServiceResponse()
    if rejected or reason:  # OTLP: with nothing rejected, the message is a warning
        answer.partial_success.rejected_data_points = rejected
        answer.partial_success.error_message = reason
    return Response(encoding.encode(answer), headers=headers, media_type=encoding.value)


def _refusal(refused: RefusedError, encoding: Encoding) -> Response:
    """Return the error answer that OTLP defines: a google.rpc.Status in the request's encoding."""
    http_status, code = _ANSWERS[refused.outcome]
    status = Status(code=code, message=str(refused))
    is_busy = refused.outcome is Outcome.OVERLOADED
    headers = {"Retry-After": str(RETRY_AFTER_S)} if is_busy else None
    return Response(encoding.encode(status), http_status, headers, encoding.value)
