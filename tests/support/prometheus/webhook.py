"""A webhook that Alertmanager tells: who was told what, and when."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.processes.child_processes import wait_until


@dataclass(frozen=True, slots=True)
class Message:
    """One alert as it was told; `at` is of the monotonic clock, `receiver` the path of the URL."""

    at: float
    receiver: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Webhook:
    """Listens on loopback; `told` holds every alert of every notification, in order."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def names(self, status: str) -> set[str]:
        """Return the alerts of which anybody was told that they are so."""
        return {message.name for message in tuple(self.told) if message.status == status}

    def first(self, name: str, status: str, within_s: float, since: float = 0.0) -> Message:
        """Wait until somebody has been told since a moment, and return the first time."""

        def found() -> list[Message]:
            alike = (each for each in self.told if (each.name, each.status) == (name, status))
            return [each for each in alike if each.at >= since]

        assert wait_until(lambda: bool(found()), within_s), (name, status, self.told)
        return found()[0]


@contextmanager
def a_webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    thread = threading.Thread(target=webhook.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield webhook
    finally:
        webhook.server.shutdown()
        webhook.server.server_close()
        thread.join()


def _messages(receiver: str, body: bytes) -> list[Message]:
    now = time.monotonic()
    alerts: list[dict[str, Any]] = json.loads(body)["alerts"]
    return [
        Message(now, receiver, each["status"], each["labels"], each["annotations"])
        for each in alerts
    ]


def _handler_of(webhook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.told += _messages(self.path.strip("/"), body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing: pytest's output is for failures."""

    return Handler
