"""An OTLP receiver that can be told to misbehave, and what arrived at it."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


class Mood(Enum):
    ACCEPTS = "accepts"
    FAILS = "answers 503"
    DAWDLES = "accepts after a while"
    HANGS = "reads and never answers"
    BABBLES = "answers what is no HTTP"


class Receiver:
    """Listens on loopback; `arrived` holds every request that was accepted.

    `arrived_at_s` has when each came, by `time.monotonic`, which all processes share.
    `answer_headers` are sent with each answer.
    """

    def __init__(self) -> None:
        self.mood = Mood.ACCEPTS
        self.answer_headers: dict[str, str] = {}
        self.arrived_at_s: list[float] = []
        self.arrived: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.asked = threading.Semaphore(0)
        self.accepted = threading.Semaphore(0)
        self.release = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def send_headers(self, handler: BaseHTTPRequestHandler) -> None:
        for name, value in self.answer_headers.items():
            handler.send_header(name, value)

    def wait_for_push(self) -> ExportMetricsServiceRequest:
        """Wait until one more push has been accepted, and return the newest."""
        assert self.accepted.acquire(timeout=60)
        return self.arrived[-1]


@contextmanager
def a_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.asked.release()
            if receiver.mood is Mood.HANGS:
                receiver.release.wait(20)
            elif receiver.mood is Mood.BABBLES:
                self.wfile.write(b"\x00\xff nonsense\n")
            elif receiver.mood is Mood.FAILS:
                self.send_error(503)
            else:
                if receiver.mood is Mood.DAWDLES:
                    receiver.release.wait(0.5)
                self._accept(body)

        def _accept(self, body: bytes) -> None:
            receiver.arrived_at_s.append(time.monotonic())
            receiver.headers.append({k.lower(): v for k, v in self.headers.items()})
            receiver.arrived.append(_request(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            receiver.send_headers(self)
            self.end_headers()
            receiver.accepted.release()

        def log_message(self, *_: Any) -> None:
            """Say nothing: pytest's output is for failures."""

    return Handler


def _request(body: bytes) -> ExportMetricsServiceRequest:
    is_gzip = body.startswith(b"\x1f\x8b")
    return ExportMetricsServiceRequest.FromString(gzip.decompress(body) if is_gzip else body)


def points(request: ExportMetricsServiceRequest, metric: str) -> list[dict[str, Any]]:
    """Return the points of one metric as {"value", "count", attributes by wire name}."""
    found = []
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for candidate in scope.metrics:
                if candidate.name == metric:
                    kind = candidate.WhichOneof("data")
                    assert kind is not None
                    found += [_point(p) for p in getattr(candidate, kind).data_points]
    return found


def _point(point: Any) -> dict[str, Any]:
    attributes = {pair.key: _plain(pair.value) for pair in point.attributes}
    if hasattr(point, "bucket_counts"):
        return {**attributes, "value": point.sum, "count": point.count}
    return {**attributes, "value": getattr(point, point.WhichOneof("value"))}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind)


def resource(request: ExportMetricsServiceRequest) -> dict[str, Any]:
    return {p.key: _plain(p.value) for p in request.resource_metrics[0].resource.attributes}
