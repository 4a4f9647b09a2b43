"""Record the push of an app that holds one connection, for the contract between versions.

Before it, a caller gave up, so that a version with reports of time-outs sends one.

It uses only the public API of `poolscope`, so it also runs with the sources of an earlier version:
`PYTHONPATH=EARLIER/instrumentation/src python -m poolscope_generators.recorded_push` prints the
push as the JSON form of OTLP.
"""

import contextlib
import gzip
import os
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

HOST = "127.0.0.1"
SETTINGS = {"POOLSCOPE_PUSH_INTERVAL_S": "0.2", "POOLSCOPE_HELD_AFTER_S": "0"}
WITHIN_S = 120.0
LISTED = "poolscope.checkout.age"
"""The metric of a push that lists a held checkout, by the same name in every version."""


class Recorder:
    """A receiver on loopback that keeps the bodies of all pushes, after it was opened.

    Before, it answers 503, so that the app keeps its report of a time-out.
    """

    def __init__(self) -> None:
        bodies: SimpleQueue[bytes] = SimpleQueue()
        refused: SimpleQueue[None] = SimpleQueue()
        is_open = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                is_kept = is_open.is_set()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not is_kept:
                    refused.put(None)
                    self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
                    return
                is_gzip = self.headers.get("Content-Encoding") == "gzip"
                bodies.put(gzip.decompress(body) if is_gzip else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing: standard output is the recorded push."""

        self.bodies = bodies
        self._refused = refused
        self._is_open = is_open
        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the endpoint for an app."""
        return f"http://{HOST}:{self.server.server_port}"

    def open(self) -> None:
        """Keep the pushes that describe the app from now on."""
        while not self._refused.empty():
            self._refused.get()
        # The app sends one push after another: a push after this one begins later than now.
        self._refused.get(True, WITHIN_S)
        self._is_open.set()


def record_push() -> ExportMetricsServiceRequest:
    """Return the first push that lists the held connection of a pool of two."""
    os.environ.update(SETTINGS)
    from sqlalchemy import create_engine, exc  # noqa: PLC0415 - found by the instrumentation, or later
    from sqlalchemy.pool import QueuePool  # noqa: PLC0415 - as above

    import poolscope  # noqa: PLC0415 - its settings are read from the environment

    recorder = Recorder()
    handle = poolscope.instrument(endpoint=recorder.url, service_name="shop")
    engine = create_engine(
        "sqlite://", poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=0.1
    )
    poolscope.name_pool(engine, "orders")
    try:
        with engine.connect(), engine.connect() as returned:
            with contextlib.suppress(exc.TimeoutError):
                engine.connect()
            returned.close()
            recorder.open()
            while True:
                request = ExportMetricsServiceRequest.FromString(
                    recorder.bodies.get(True, WITHIN_S)
                )
                if LISTED in metric_names(request):
                    return request
    finally:
        if handle is not None:
            handle.uninstrument()
        engine.dispose()


def metric_names(request: ExportMetricsServiceRequest) -> set[str]:
    """Return the names of all metrics of a request."""
    return {
        metric.name
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


if __name__ == "__main__":
    sys.stdout.write(MessageToJson(record_push()) + "\n")
