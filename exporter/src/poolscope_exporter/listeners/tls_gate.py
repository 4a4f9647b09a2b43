"""Limit the peers in a TLS handshake: their number and their time.

asyncio reports a connection only after its handshake, for which it waits a minute.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from poolscope_exporter.core.admission.limits import Limits
from poolscope_exporter.listeners.bounded_http import CloseCause, ClosedCounts

MAX_HANDSHAKES: Final = 500
"""Handshakes of a listener at a time; each needs 0.1 MiB."""

FIRST_BYTES: Final = 4 * 1024
"""Bytes that are read before TLS begins: more than the first message of a usual client."""

SHORTEST_S: Final = 0.001
"""asyncio takes no handshake time-out of 0."""

TLS_BUFFER: Final = 32 * 1024
"""Bytes that a TLS connection reads at once, twice the longest record. asyncio allocates them for
each connection: its own 256 KiB cost 200 MiB for 600 silent peers."""


def server_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    """Return the server context with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


class TlsGate:
    """A gate before a listener's protocol; a call returns the protocol for one handshake.

    The limit is that of connections, and at most 500. If it is reached, a new peer replaces the
    peer that has been silent longest, or else the one with the oldest unfinished handshake.
    """

    def __init__(
        self,
        protocol: Callable[..., asyncio.Protocol],
        context: ssl.SSLContext,
        limits: Limits,
        closed: ClosedCounts,
    ) -> None:
        SSLProtocol.max_size = TLS_BUFFER  # start_tls() takes no size
        self._protocol = protocol
        self.context = context
        self.limits = limits
        self.closed = closed
        self._greeting: dict[_Greeting, None] = {}

    def __call__(self, **arguments: Any) -> asyncio.BaseProtocol:
        """Return the protocol of a connection that was just accepted."""
        return _Greeting(self, lambda: self._protocol(**arguments))

    def note_peer(self, greeting: "_Greeting") -> None:
        """Add a connected peer; replace one if the limit is reached: a silent one, if possible."""
        if len(self._greeting) >= min(self.limits.max_connections, MAX_HANDSHAKES):
            silent = (each for each in self._greeting if each.is_silent)
            longest = next(silent, next(iter(self._greeting)))
            self.forget_peer(longest)
            longest.hang_up(CloseCause.REPLACED)
        self._greeting[greeting] = None

    def forget_peer(self, greeting: "_Greeting") -> None:
        """Remove a peer that has finished its handshake, or has gone."""
        self._greeting.pop(greeting, None)


class _Greeting(asyncio.BufferedProtocol):
    """One peer until its handshake is over; then its connection is passed to the next protocol.

    TLS begins with the first bytes: a peer that sends nothing costs no buffers of TLS.
    """

    def __init__(self, gate: TlsGate, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._gate = gate
        self._make_protocol = make_protocol
        self._transport: asyncio.Transport | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._first = bytearray(FIRST_BYTES)
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._until_s = loop.time() + self._gate.limits.header_timeout_s
        self._silence = loop.call_at(self._until_s, self.hang_up, CloseCause.SLOW_HANDSHAKE)
        self._gate.note_peer(self)

    @property
    def is_silent(self) -> bool:
        """Return whether the peer has sent nothing so far."""
        return self._handshake is None

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self._first

    def buffer_updated(self, nbytes: int) -> None:
        """Begin the handshake with the first bytes."""
        assert self._transport is not None
        self._transport.pause_reading()  # the next bytes are for the protocol of TLS
        self._end_silence()
        first = bytes(self._first[:nbytes])
        greeting = self._greet(self._transport, first)
        self._handshake = asyncio.get_running_loop().create_task(greeting)

    def eof_received(self) -> None:
        """Let the transport close: the peer has gone without a greeting."""

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the peer; this is called only before its handshake."""
        self._end_silence()
        self._gate.forget_peer(self)

    def hang_up(self, why: CloseCause) -> None:
        """Close the connection of a peer that has not finished its handshake."""
        if self._transport is not None:
            self._gate.closed[why] += 1
            self._transport.abort()

    def _end_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    async def _greet(self, transport: asyncio.Transport, first: bytes) -> None:
        loop, early = asyncio.get_running_loop(), _Early()
        if transport.is_closing():
            return  # asyncio would wait for the handshake until its time is over
        try:
            handshake = loop.create_task(self._start_tls(transport, early))
            await asyncio.sleep(0)  # it asks the loop to begin; this asks for the bytes after that
            loop.call_soon(_feed, transport, first)
            secure = await handshake
        except OSError as error:  # ssl.SSLError, and ConnectionAbortedError when the time is over
            _forget_frames(error)
            if loop.time() >= self._until_s:
                self.hang_up(CloseCause.SLOW_HANDSHAKE)
            else:
                transport.abort()  # not TLS, or the peer has gone
        except asyncio.CancelledError:
            transport.abort()
            raise
        else:
            # A lost connection would refer to the protocol again, in a cycle.
            if secure is not None and not secure.is_closing():
                early.hand_over(secure, self._make_protocol())
        finally:
            self._gate.forget_peer(self)

    async def _start_tls(
        self, transport: asyncio.Transport, early: "_Early"
    ) -> asyncio.Transport | None:
        loop = asyncio.get_running_loop()
        return await loop.start_tls(
            transport,
            early,
            self._gate.context,
            server_side=True,
            ssl_handshake_timeout=max(self._until_s - loop.time(), SHORTEST_S),
        )


def _feed(transport: asyncio.Transport, first: bytes) -> None:
    """Give the bytes that came before TLS to the protocol that TLS has given the transport."""
    protocol = transport.get_protocol()
    while first and isinstance(protocol, SSLProtocol) and not transport.is_closing():
        room = memoryview(protocol.get_buffer(len(first)))
        taken = min(len(room), len(first))
        room[:taken] = first[:taken]
        first = first[taken:]
        protocol.buffer_updated(taken)


class _Early(asyncio.Protocol):
    """A buffer for data that arrives with the end of a handshake, before its task continues."""

    def __init__(self) -> None:
        self._received: list[bytes] = []
        self._has_ended = False

    def data_received(self, data: bytes) -> None:
        self._received.append(data)

    def eof_received(self) -> None:
        self._has_ended = True

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Pass the connection and the buffered data to the protocol."""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self._received:
            protocol.data_received(data)
        if self._has_ended:
            protocol.eof_received()


def _forget_frames(error: BaseException | None) -> None:
    """Free the frames of an error: they hold the connection's buffers, in a cycle with the error.

    The connection's protocols keep the error.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__context__
