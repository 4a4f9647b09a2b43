"""Peers that connect to a TLS listener and never greet shut out nobody."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from support.exporter.exporter_process import LOOPBACK_CERT, LOOPBACK_KEY, ExporterProcess
from support.processes.child_processes import wait_until

MOST = 20
TLS = (
    f"--tls-cert={LOOPBACK_CERT}",
    f"--tls-key={LOOPBACK_KEY}",
    f"--otlp-tls-cert={LOOPBACK_CERT}",
    f"--otlp-tls-key={LOOPBACK_KEY}",
)


@pytest.fixture
def exporter() -> Iterator[ExporterProcess]:
    with ExporterProcess(*TLS, f"--max-connections={MOST}", "--header-timeout=1") as running:
        yield running


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)


def closed(exporter: ExporterProcess, listener: str, reason: str) -> float:
    metrics = exporter.get("/metrics").text
    name = "poolscope_listener_connections_closed_total"
    found = re.search(rf'^{name}{{listener="{listener}",reason="{reason}"}} (\S+)$', metrics, re.M)
    assert found, metrics
    return float(found[1])


def test_silent_peers_give_way_and_are_cut_off(exporter: ExporterProcess) -> None:
    with ExitStack() as peers:
        for url in (exporter.web, exporter.otlp):
            for _ in range(5 * MOST):
                peers.enter_context(connect(url))
            assert exporter.get("/healthz").status_code == 200
            assert exporter.get("/metrics").status_code == 200
        for listener in ("web", "otlp"):
            assert wait_until(lambda at=listener: closed(exporter, at, "replaced") >= 4 * MOST)  # type: ignore[misc]
            assert wait_until(lambda at=listener: closed(exporter, at, "slow_handshake") >= 1)  # type: ignore[misc]
    assert len(exporter.log) < 10_000


def test_a_peer_that_speaks_no_tls_is_hung_up_on_quietly(exporter: ExporterProcess) -> None:
    before = len(exporter.log)
    for _ in range(50):
        with connect(exporter.web) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while peer.recv(4096):
                pass
    assert exporter.get("/healthz").status_code == 200
    assert len(exporter.log) - before < 2_000
