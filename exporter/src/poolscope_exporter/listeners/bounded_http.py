"""Bound the connections of a listener: in number, and in how long a peer may keep one waiting."""

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from poolscope_exporter.core.fleet.limits import Limits

BODY_GRACE_S = 1.0
"""The application answers a slow body itself, and better; this is for those it does not read."""

READER_TIMEOUT_S = 30.0
"""Time for a peer to read some of what it asked for."""

_BYE = (
    b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
    b"Retry-After: 5\r\nConnection: close\r\n\r\n"
)
_TIMEOUT, _UNAVAILABLE = _BYE % b"408 Request Timeout", _BYE % b"503 Service Unavailable"


class CloseCause(StrEnum):
    """Why a connection was closed on its peer."""

    SLOW_HEADERS = "slow_headers"
    SLOW_BODY = "slow_body"
    SLOW_READER = "slow_reader"
    REPLACED = "replaced"
    TOO_MANY = "too_many"


ClosedCounts = Counter[str]
"""Connections that were closed on their peers, by reason."""


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
    """uvicorn's HTTP/1.1, which has no time limit of its own for a request that does not arrive.

    Where all connections are taken, a new one takes the place of the one that waits longest for
    its next request; where all are busy, it is answered 503. So nobody shuts out the others, nor
    the health checks, by holding connections.
    """

    limits: Limits
    closed: ClosedCounts
    _arrival: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _waits_for: type[h11.IDLE] | type[h11.SEND_BODY] | None = None
    _since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there is room for it or somebody's can be made."""
        is_full = len(self.connections) >= self.limits.max_connections
        super().connection_made(transport)
        self._since_s = self.loop.time()
        if is_full and not self._replace_the_idlest():
            self._close(CloseCause.TOO_MANY, _UNAVAILABLE)
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Handle data, and note whether the request is still incomplete afterwards."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request: as long as the keep-alive time-out, until it begins."""
        super().on_response_complete()
        self._since_s = self.loop.time()
        self._disarm()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._disarm()
        self._set_reading(None)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the peer time to read."""
        super().pause_writing()
        reading = self.loop.call_later(READER_TIMEOUT_S, self._abort)
        self._set_reading(reading)

    def resume_writing(self) -> None:
        """Note that the peer has read."""
        super().resume_writing()
        self._set_reading(None)

    def _watch(self) -> None:
        """Let time run while the peer owes us the rest of a request."""
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

    def _replace_the_idlest(self) -> bool:
        idle = [
            each
            for each in self.connections
            if isinstance(each, BoundedProtocol) and each is not self and each.is_idle
        ]
        if idle:
            idlest = min(idle, key=lambda each: each._since_s)  # noqa: SLF001 - of the same class
            idlest._close(CloseCause.REPLACED, b"")  # noqa: SLF001 - as above
        return bool(idle)

    @property
    def is_idle(self) -> bool:
        """Return whether no request is under way: none, or one whose headers are not all here."""
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
