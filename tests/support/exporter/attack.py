"""Attack an exporter in many ways at the same time, until standard input closes.

`python attack.py WEB OTLP TOKEN CA_FILE`; each way has threads of its own, and errors end nothing.
"""

import itertools
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope import catalogue
from support.exporter.otlp_messages import (
    POOL,
    Attributes,
    a_gauge,
    a_histogram,
    a_marker,
    a_request,
    gauges,
    number,
)

SLOW_READERS = 60
SILENT = 300
HALF_SENT = 20
HALF_BYTES = 3 * 1024 * 1024
HELD = 500
INSTANCES = 100
STRANGE_NAMES = (
    "db.client.connection.wait.time",
    "db.client.connection.pending.requests",
    "db.client.connection.count.sum",
    "db.client.connection.new.bucket",
)


class Attacker:
    """The ways of attack; `over` ends them."""

    def __init__(self, web: str, otlp: str, token: str, ca_file: str) -> None:
        self.over = threading.Event()
        self._web, self._otlp = urlsplit(web), urlsplit(otlp)
        self._token = token
        self._trusted = ssl.create_default_context(cafile=ca_file)
        self._numbers = itertools.count()

    def ways(self) -> Iterator[Callable[[], None]]:
        """Yield what each thread does again and again."""
        yield self._take_names
        yield self._take_room
        yield self._claim_sessions
        yield self._say_nothing
        yield self._read_nothing
        yield from [self._send_half] * HALF_SENT

    def run(self) -> None:
        for way in self.ways():
            threading.Thread(target=self._again, args=(way,), daemon=True).start()

    def _again(self, way: Callable[[], None]) -> None:
        while not self.over.is_set():
            try:
                way()
            except (OSError, httpx.HTTPError, ValueError):
                time.sleep(0.05)

    def _connect(self, parts: object) -> socket.socket:
        host, port = parts.hostname, parts.port  # type: ignore[attr-defined]
        return socket.create_connection((host, port), timeout=10)

    def _push(self, body: bytes) -> None:
        url = f"{self._otlp.geturl()}/v1/metrics"
        headers = {
            "Content-Type": "application/x-protobuf",
            "Authorization": f"Bearer {self._token}",
        }
        httpx.post(url, content=body, headers=headers, verify=self._trusted, trust_env=False)

    def _take_names(self) -> None:
        """Push metrics with names that translate to names of poolscope."""
        name = random.choice(STRANGE_NAMES)
        for metric in (a_gauge(name, 1), a_histogram(name, [1.0], [1, 1])):
            self._push(a_request(metric, resource=self._resource()).SerializeToString())
        time.sleep(0.1)

    def _take_room(self) -> None:
        """Push long lists of held checkouts, and many series."""
        resource = self._resource()
        series = [
            a_gauge("db.client.connection.odd", 1, {**POOL, "reason": f"{'x' * 100}{n}"})
            for n in range(200)
        ]
        self._push(
            a_request(
                *series, push=self._held(random.random), resource=resource
            ).SerializeToString()
        )

    def _claim_sessions(self) -> None:
        """List connections with the backend PIDs that a server may have, all with evidence."""
        self._push(
            a_request(push=self._held(lambda: 1), resource=self._resource()).SerializeToString()
        )

    def _held(self, salt: Callable[[], float]) -> tuple[Metric, ...]:
        pool: Attributes = {
            catalogue.POOL_NAME: "hostile",
            catalogue.SERVER_ADDRESS: "127.0.0.1",
            catalogue.SERVER_PORT: 5432,
        }
        checkouts = (
            number(
                100.0 + salt(),
                {
                    **pool,
                    catalogue.CHECKOUT_ID: n,
                    catalogue.BACKEND_PID: random.randrange(2, 100_000),
                    catalogue.CONNECTION_AGE: random.random() * 100,
                    catalogue.EVIDENCE: "request_finished",
                },
            )
            for n in range(1, HELD + 1)
        )
        return (
            a_marker(next(self._numbers) + 1, **{catalogue.PUSH_INTERVAL: 300.0}),
            gauges(catalogue.CHECKOUT_AGE.name, *checkouts),
            gauges(catalogue.CHECKOUTS_HELD.name, number(HELD, pool)),
            gauges(catalogue.CHECKOUTS_LISTED.name, number(HELD, pool)),
        )

    def _resource(self) -> Attributes:
        return {
            catalogue.SERVICE_NAME: "hostile",
            catalogue.SERVICE_INSTANCE_ID: f"hostile-{random.randrange(INSTANCES)}",
        }

    def _say_nothing(self) -> None:
        """Open sockets that never begin TLS."""
        sockets = [self._connect(parts) for parts in (self._web, self._otlp) for _ in range(SILENT)]
        self.over.wait(5)
        for each in sockets:
            each.close()

    def _read_nothing(self) -> None:
        """Request the exposition again and again, and read nothing of it."""
        readers = []
        for _ in range(SLOW_READERS):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            plain.settimeout(10)
            plain.connect((self._web.hostname, self._web.port))
            peer = self._trusted.wrap_socket(plain, server_hostname=self._web.hostname)
            peer.sendall(f"GET /metrics HTTP/1.1\r\nHost: {self._web.netloc}\r\n\r\n".encode())
            readers.append(peer)
        self.over.wait(5)
        for peer in readers:
            peer.close()

    def _send_half(self) -> None:
        """Send a large body but for its end."""
        with self._trusted.wrap_socket(
            self._connect(self._otlp), server_hostname=self._otlp.hostname
        ) as peer:
            peer.sendall(
                f"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n"
                "Content-Type: application/x-protobuf\r\n"
                f"Content-Length: {HALF_BYTES + 1}\r\n\r\n".encode()
            )
            for _ in range(HALF_BYTES // 65_536):
                peer.sendall(b"\0" * 65_536)
                if self.over.wait(0.05):
                    return
            peer.recv(1)


if __name__ == "__main__":
    attacker = Attacker(*sys.argv[1:])
    attacker.run()
    sys.stdin.read()
    attacker.over.set()
