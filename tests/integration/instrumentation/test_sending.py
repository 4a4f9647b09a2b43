"""A push goes to whom it was meant for, within its time, and its answer is read."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from poolscope.sending import transport
from poolscope.sending.endpoints import PushDelivery, PushEndpoints
from poolscope.sending.transport import PushAnswer, PushError, Transport
from support.exporter.receiver import Mood, a_receiver
from support.processes.child_processes import wait_until

OTLP = "Content-Type: application/x-protobuf\r\n"

Talk = Callable[[socket.socket], None]


def an_answer(body: bytes = b"", headers: str = OTLP, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Peer:
    """Reads each request to its end and answers; `heard` holds the requests."""

    def __init__(self, talk: Talk) -> None:
        self.heard: list[bytes] = []
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        heard = b""
        while b"\r\n\r\nbody" not in heard:
            part = connection.recv(65_536)
            if not part:
                return
            heard += part
        self.heard.append(heard)
        try:
            self._talk(connection)
        except OSError:
            return  # whoever asked has gone


@contextmanager
def a_peer(talk: Talk) -> Iterator[Peer]:
    peer = Peer(talk)
    thread = threading.Thread(target=peer.serve, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join(60)


def says(answer: bytes) -> Talk:
    return lambda connection: connection.sendall(answer)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"])
def test_no_redirect_takes_the_token_elsewhere(status: str) -> None:
    with a_peer(says(an_answer())) as elsewhere:
        headers = f"Location: {elsewhere.endpoint}/v1/metrics\r\n"
        with a_peer(says(an_answer(b"", headers, status))) as peer:
            with pytest.raises(PushError, match=f"answered {status[:3]}"):
                Transport(peer.endpoint).send_body(b"body", "s3cret")
            assert b"Authorization: Bearer s3cret" in peer.heard[0]
        assert elsewhere.heard == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (an_answer(b"<html>login", "Content-Type: text/html\r\n"), "is no OTLP receiver"),
        (an_answer(b"\xff\xff"), "an answer that is not OTLP"),
        (an_answer(b"", OTLP, "202 Accepted"), "answered 202"),
        (an_answer(b"", OTLP, "204 No Content"), "answered 204"),
        (an_answer(b"", OTLP, "503 Busy"), "answered 503"),
        (b"nonsense\r\n\r\n", "nonsense"),
        (b"", "closed connection without response"),
    ],
)
def test_only_an_answer_of_otlp_is_success(answer: bytes, problem: str) -> None:
    with a_peer(says(answer)) as peer, pytest.raises(PushError, match=problem):
        Transport(peer.endpoint).send_body(b"body", None)


@pytest.mark.parametrize("headers", [OTLP, ""])
def test_an_empty_answer_is_success(headers: str) -> None:
    with a_peer(says(an_answer(b"", headers))) as peer:
        answer = Transport(peer.endpoint).send_body(b"body", None)
    assert (answer.interval_s, answer.rejected, answer.reason) == (None, 0, "")


def test_partial_success_is_read() -> None:
    partial = ExportMetricsPartialSuccess(rejected_data_points=3, error_message="too_many_series")
    body = ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    with a_peer(says(an_answer(body, OTLP + "Poolscope-Push-Interval: 7\r\n"))) as peer:
        answer = Transport(peer.endpoint).send_body(b"body", None)
    assert (answer.interval_s, answer.rejected, answer.reason) == (7.0, 3, "too_many_series")


def trickles(connection: socket.socket) -> None:
    """Send the answer so slowly that each byte comes in time, and the whole never does."""
    for byte in an_answer(b"x" * 1_000):
        connection.sendall(bytes((byte,)))
        time.sleep(0.05)


def test_an_answer_that_trickles_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.3)
    with a_peer(trickles) as peer, pytest.raises(PushError, match="timed out"):
        Transport(peer.endpoint).send_body(b"body", None)


def test_an_endpoint_that_hangs_keeps_no_other_from_its_push() -> None:
    with a_receiver() as hanging, a_receiver() as good:
        hanging.mood = Mood.HANGS
        senders = PushEndpoints([Transport(each.endpoint) for each in (hanging, good)])
        threading.Thread(target=senders.send_push, args=(b"", lambda: None), daemon=True).start()
        assert good.accepted.acquire(timeout=60)  # while the other one is asked
        deliveries: list[PushDelivery] = []

        def is_taken_again() -> bool:
            deliveries[:] = senders.send_push(b"", lambda: None)
            return deliveries[1].answer is not None

        assert wait_until(is_taken_again)
    assert deliveries[0].answer is None


def test_a_token_that_cannot_be_read_is_an_error_of_each_endpoint() -> None:
    def unreadable() -> str:
        raise PermissionError("token file")

    senders = PushEndpoints([Transport("http://127.0.0.1:1"), Transport("http://127.0.0.1:2")])
    deliveries = senders.send_push(b"", unreadable)
    assert [type(each.error) for each in deliveries] == [PermissionError] * 2


def test_threads_end_with_the_instrumentation() -> None:
    with a_receiver() as first, a_receiver() as second:
        endpoints = PushEndpoints([Transport(each.endpoint) for each in (first, second)])
        before = set(threading.enumerate())
        assert all(each.answer for each in endpoints.send_push(b"", lambda: None))
        ours = [
            thread
            for thread in set(threading.enumerate()) - before
            if thread.name == "poolscope-sender"
        ]
        assert len(ours) == 2
        endpoints.stop()
        assert wait_until(lambda: not any(thread.is_alive() for thread in ours))
        assert not any(each.answer for each in endpoints.send_push(b"", lambda: None))


class Failing(Transport):
    is_broken = True

    def send_body(self, body: bytes, token: str | None) -> PushAnswer:
        if self.is_broken:
            raise AttributeError("ours")
        return super().send_body(body, token)


def test_an_error_of_ours_costs_one_push_and_not_the_endpoint() -> None:
    with a_receiver() as first, a_receiver() as second:
        failing = Failing(first.endpoint)
        endpoints = PushEndpoints([failing, Transport(second.endpoint)])
        broken, good = endpoints.send_push(b"", lambda: None)
        assert isinstance(broken.error, AttributeError)
        assert good.answer is not None
        failing.is_broken = False
        assert all(each.answer for each in endpoints.send_push(b"", lambda: None))
        endpoints.stop()
