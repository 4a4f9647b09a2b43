"""Limit the connections of a listener: their number, and how long a peer may block one."""

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from poolscope_exporter.core.admission.limits import Limits

BODY_GRACE_S = 1.0
"""Extra time, because the application answers a slow body better; only unread bodies need this."""

READER_TIMEOUT_S = 30.0
"""The time for a peer to read some of the answer."""

ANSWER_S = 60.0
"""The time for a peer to read a whole answer, because one could read a little and then stop."""

_BYE = (
    b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\n"
)
_TIMEOUT, _UNAVAILABLE = _BYE % b"408 Request Timeout", _BYE % b"503 Service Unavailable"


class CloseCause(StrEnum):
    """The reason why the listener closed a connection."""

    SLOW_HANDSHAKE = "slow_handshake"
    SLOW_HEADERS = "slow_headers"
    SLOW_BODY = "slow_body"
    SLOW_READER = "slow_reader"
    REPLACED = "replaced"
    TOO_MANY = "too_many"


ClosedCounts = Counter[str]
"""Connections that the listener closed, by reason."""


def bounded_protocol(limits: Limits, closed: ClosedCounts) -> type[asyncio.Protocol]:
    """Return the protocol of a listener, for uvicorn; it counts in `closed`."""

    class Bounded(BoundedProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self.limits, self.closed = limits, closed

    return Bounded


class BoundedProtocol(H11Protocol):
    """The HTTP/1.1 protocol of uvicorn, with a time limit for requests that do not arrive.

    If all connections are in use, a new one replaces the longest idle one. If all are busy, the
    new one is answered 503. This way no peer can exclude the others, or the health checks, by
    holding connections.
    """

    limits: Limits
    closed: ClosedCounts
    _arrival: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _waits_for: type[h11.IDLE] | type[h11.SEND_BODY] | None = None
    _since_s = 0.0
    _answer_until_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection if there is room or an idle one can be replaced."""
        is_full = len(self.connections) >= self.limits.max_connections
        super().connection_made(transport)
        self._since_s = self.loop.time()
        if is_full and not self._replace_the_idlest():
            self._close(CloseCause.TOO_MANY, _UNAVAILABLE)
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Handle data, and start or stop the timer for an incomplete request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request to begin, for at most the keep-alive time-out."""
        super().on_response_complete()
        self._since_s = self.loop.time()
        self._answer_until_s = None
        self._disarm()
        self._watch_rest()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and let go of the request: each would keep the connection's buffers.

        uvicorn leaves its keep-alive timer running after an error.
        """
        self._disarm()
        self._set_reading(None)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.cycle = None  # type: ignore[assignment] # uvicorn begins so; it refers to this object

    def pause_writing(self) -> None:
        """Start the timers for reading: some of the answer soon, all of it in the end."""
        super().pause_writing()
        now_s = self.loop.time()
        if self._answer_until_s is None:
            self._answer_until_s = now_s + ANSWER_S
        until_s = min(now_s + READER_TIMEOUT_S, self._answer_until_s)
        self._set_reading(self.loop.call_at(until_s, self._abort))

    def resume_writing(self) -> None:
        """Stop the timer, because the peer has read."""
        super().resume_writing()
        self._set_reading(None)
        if self.cycle is not None and self.cycle.response_complete:
            self._watch_rest()

    def _watch_rest(self) -> None:
        """Start the timer for the last part of an answer: it is too small to pause the writing.

        The connection of a peer that never reads it would stay, also after it was closed.
        """
        if self.transport.get_write_buffer_size():
            self._set_reading(self.loop.call_later(READER_TIMEOUT_S, self._abort_unread))

    def _abort_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self._abort()

    def _watch(self) -> None:
        """Start a timer while the rest of a request is missing."""
        state = self.conn.their_state
        if state not in (h11.IDLE, h11.SEND_BODY) or self.transport.is_closing():
            self._disarm()
        elif state is not self._waits_for:
            self._disarm()
            self._waits_for = state
            self._arrival = self.loop.call_later(*self._patience(state))

    def _patience(self, state: object) -> tuple[float, Callable[[], None]]:
        if state is h11.IDLE:
            return self.limits.header_timeout_s, self._end_slow_headers
        return self.limits.body_timeout_s + BODY_GRACE_S, self._end_slow_body

    def _end_slow_headers(self) -> None:
        self._close(CloseCause.SLOW_HEADERS, _TIMEOUT)

    def _end_slow_body(self) -> None:
        has_answered = self.cycle is not None and self.cycle.response_started
        self._close(CloseCause.SLOW_BODY, b"" if has_answered else _TIMEOUT)

    def _abort(self) -> None:
        self.closed[CloseCause.SLOW_READER] += 1
        self.transport.abort()

    def _close(self, why: CloseCause, last_words: bytes) -> None:
        if not self.transport.is_closing():
            self.closed[why] += 1
            self.transport.write(last_words)
            self.transport.close()
            self._watch_rest()

    def _replace_the_idlest(self) -> bool:
        idle = [
            each
            for each in self.connections
            if isinstance(each, BoundedProtocol) and each is not self and each.is_idle
        ]
        if idle:
            idlest = min(idle, key=lambda each: each._since_s)  # noqa: SLF001 - of the same class
            self.closed[CloseCause.REPLACED] += 1
            idlest.transport.abort()  # it may have something left to read
        return bool(idle)

    @property
    def is_idle(self) -> bool:
        """Return whether no request is in progress: none, or one with incomplete headers."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and not self.transport.is_closing()

    def _disarm(self) -> None:
        if self._arrival:
            self._arrival.cancel()
        self._arrival = self._waits_for = None

    def _set_reading(self, handle: asyncio.TimerHandle | None) -> None:
        if self._reading:
            self._reading.cancel()
        self._reading = handle
