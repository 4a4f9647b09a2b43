"""At the end of the exporter: an open request is finished, and one that hangs delays nothing."""

import signal
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from support.exporter.exporter_process import ExporterProcess
from support.exporter.otlp_messages import a_gauge, a_request
from support.processes.child_processes import wait_until

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
BODY = a_request(a_gauge("db.client.connection.max", 1)).SerializeToString()
HEAD = (
    b"POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


def an_open_request(exporter: ExporterProcess) -> socket.socket:
    """Return a connection on which the exporter waits for the body of a request."""
    parts = urlsplit(exporter.otlp)
    peer = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)
    peer.sendall(HEAD)
    assert peer.recv(4096).startswith(b"HTTP/1.1 100 ")
    return peer


def is_listening(exporter: ExporterProcess) -> bool:
    parts = urlsplit(exporter.otlp)
    with socket.socket() as probe:
        return probe.connect_ex((str(parts.hostname), int(parts.port or 0))) == 0


@SIGNALS
def test_an_open_request_is_finished_before_the_end(number: signal.Signals) -> None:
    with ExporterProcess() as exporter, closing(an_open_request(exporter)) as peer:
        exporter.process.send_signal(number)
        assert wait_until(lambda: not is_listening(exporter))
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):  # it is neither answered nor closed meanwhile
            peer.recv(1)
        peer.settimeout(60)
        peer.sendall(BODY)
        assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert exporter.process.wait(60) == 0


@SIGNALS
def test_a_request_that_hangs_does_not_delay_the_end_for_longer(number: signal.Signals) -> None:
    with ExporterProcess("--body-timeout=300") as exporter, closing(an_open_request(exporter)):
        exporter.process.send_signal(number)
        assert exporter.process.wait(60) == 0
