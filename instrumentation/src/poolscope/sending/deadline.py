"""Limit the time of a whole exchange over a socket, for any speed of the peer."""

import io
import socket
from typing import Any

from poolscope.clock import monotonic


class ExchangeEnd:
    """The end of one exchange; a socket's time-out limits only each single step."""

    def __init__(self, seconds: float) -> None:
        self._at_s = monotonic() + seconds

    def left_s(self) -> float:
        """Return the seconds that are left; raise TimeoutError if none are left."""
        left_s = self._at_s - monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return left_s


class TimedSocket:
    """A connected socket for `http.client`; all of its steps share one deadline."""

    def __init__(self, connected: socket.socket, deadline: ExchangeEnd) -> None:
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send all data."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._deadline.left_s())
            rest = rest[self._socket.send(rest) :]

    def makefile(self, *_: Any) -> io.BufferedReader:
        """Return a file to read the answer from; closing it does not close the socket."""
        return io.BufferedReader(_TimedReader(self._socket, self._deadline))

    def close(self) -> None:
        """Do nothing: the code that opened the socket closes it, after the answer was read."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: ExchangeEnd) -> None:
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._deadline.left_s())
        return self._socket.recv_into(buffer)
