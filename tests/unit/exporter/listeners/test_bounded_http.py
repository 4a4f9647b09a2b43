"""A peer that reads too little, or sends too much before its request, is closed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.listeners.bounded_http import (
    BoundedProtocol,
    CloseCause,
    bounded_protocol,
)

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
KIB_16 = 16 * 1024


async def no_app(_scope: Any, _receive: Any, _send: Any) -> None:
    """Answer nothing."""


@dataclass
class Timer:
    at_s: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(eq=False)
class Loop:
    """An event loop with a time that the test sets, and that runs no application."""

    now_s: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at_s, callback))
        return self.timers[-1]

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.now_s + delay_s, callback)

    def create_task(self, work: Any, **_: Any) -> "Loop":
        work.close()
        return self

    def add_done_callback(self, _: Callable[[Any], None]) -> None:
        """Do nothing: the task does not run."""

    def advance(self, to_s: float) -> None:
        self.now_s = to_s
        for timer in [each for each in self.timers if each.at_s <= to_s]:
            self.timers.remove(timer)
            if not timer.is_cancelled:
                timer.callback()


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.is_closed = self.is_aborted = False
        self.unread = 0

    def get_write_buffer_size(self) -> int:
        return self.unread

    def get_extra_info(self, _: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True


class Peer:
    """One connection, with the time and the transport that a test controls."""

    def __init__(self) -> None:
        self.loop, self.transport = Loop(), Transport()
        self.closed: Counter[str] = Counter()
        config = Config(no_app, log_config=None, lifespan="off", ws="none")
        make = bounded_protocol(Limits(), self.closed)
        protocol = make(config, ServerState(), {}, self.loop)  # type: ignore[call-arg]
        self.protocol = cast("BoundedProtocol", protocol)
        self.protocol.connection_made(cast("Any", self.transport))


def test_peer_that_reads_nothing_of_its_answer_is_closed_after_30_s() -> None:
    peer = Peer()
    peer.protocol.data_received(REQUEST + b"123456789")
    peer.protocol.pause_writing()
    peer.loop.advance(29.9)
    assert not peer.closed
    peer.loop.advance(30.0)
    assert peer.transport.is_aborted
    assert peer.closed == {CloseCause.SLOW_READER: 1}


def test_peer_that_reads_a_little_now_and_then_has_60_s_for_its_answer() -> None:
    peer = Peer()
    peer.protocol.data_received(REQUEST + b"123456789")
    for now_s in (0.0, 20.0, 40.0, 59.0):
        peer.loop.advance(now_s)
        peer.protocol.resume_writing()
        peer.protocol.pause_writing()
    peer.loop.advance(59.9)
    assert not peer.closed
    peer.loop.advance(60.0)
    assert peer.transport.is_aborted
    assert peer.closed == {CloseCause.SLOW_READER: 1}


def test_peer_that_reads_in_time_is_not_closed() -> None:
    peer = Peer()
    peer.protocol.data_received(REQUEST + b"123456789")
    peer.protocol.pause_writing()
    peer.loop.advance(29.9)
    peer.protocol.resume_writing()
    peer.loop.advance(300.0)
    assert not peer.transport.is_closed


def test_body_that_does_not_arrive_and_that_nobody_reads_is_answered_408() -> None:
    peer = Peer()
    peer.protocol.data_received(REQUEST + b"1")
    peer.loop.advance(Limits().body_timeout_s)
    assert not peer.transport.is_closed
    peer.loop.advance(Limits().body_timeout_s + 1)
    assert peer.transport.written.startswith(b"HTTP/1.1 408 ")
    assert peer.closed == {CloseCause.SLOW_BODY: 1}


@pytest.mark.parametrize(("length", "is_refused"), [(KIB_16, False), (KIB_16 + 1, True)])
def test_headers_that_do_not_end_within_16_kib_are_refused(length: int, is_refused: bool) -> None:
    peer = Peer()
    peer.protocol.data_received((b"GET / HTTP/1.1\r\n" + b"Y: y\r\n" * KIB_16)[:length])
    assert peer.transport.written.startswith(b"HTTP/1.1 400 ") is is_refused
    assert peer.transport.is_closed is is_refused


@pytest.mark.parametrize("is_last", [True, False], ids=["connection: close", "keep-alive"])
def test_peer_that_leaves_the_last_bytes_of_its_answer_unread_is_closed(is_last: bool) -> None:
    """They are too few to pause the writing, and kept the connection for ever."""
    peer = answered(unread=1)
    if is_last:
        peer.transport.close()
    peer.loop.advance(29.9)
    assert not peer.closed
    peer.loop.advance(30.0)
    assert peer.transport.is_aborted
    assert peer.closed == {CloseCause.SLOW_READER: 1}


def test_peer_that_reads_its_whole_answer_may_stay() -> None:
    peer = answered(unread=1)
    peer.transport.unread = 0
    peer.loop.advance(31.0)
    assert not peer.closed


def test_rest_of_an_answer_is_watched_after_the_peer_has_read_the_most_of_it() -> None:
    peer = answered(unread=70_000)
    peer.protocol.pause_writing()
    peer.transport.unread = 10
    peer.protocol.resume_writing()
    peer.loop.advance(30.0)
    assert peer.transport.is_aborted


def answered(unread: int) -> Peer:
    """Return a peer with a complete answer, of which it has not read some bytes."""
    peer = Peer()
    peer.protocol.data_received(REQUEST + b"123456789")
    assert peer.protocol.cycle is not None
    peer.protocol.cycle.response_started = peer.protocol.cycle.response_complete = True
    peer.transport.unread = unread
    peer.protocol._watch_rest()
    return peer
