"""A receiver that accepts each push and counts it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class PushHandler(BaseHTTPRequestHandler):
    """Accept one push."""

    server: "PushServer"

    def do_POST(self) -> None:
        """Read the body and answer as an OTLP receiver does."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.pushes += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class PushServer(ThreadingHTTPServer):
    """The receiver on a free port of loopback, with the number of pushes since its start."""

    daemon_threads = True
    pushes = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PushHandler)

    @property
    def endpoint(self) -> str:
        """Return the base URL for `poolscope.instrument`."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
