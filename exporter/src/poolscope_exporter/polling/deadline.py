"""Cut a connection whose answer does not come in time."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from poolscope_exporter.polling.driver import Driver


@dataclass(slots=True)
class Deadline:
    """Whether the time is over, and the connection with it."""

    has_passed: bool = False


@contextlib.contextmanager
def deadline(connection: Driver, seconds: float) -> Iterator[Deadline]:
    """Cut the connection when the deadline passes.

    A mere cancellation would not do: psycopg answers it by asking the server to cancel the
    statement and by waiting for the result, and a server that is cut off answers neither.
    """
    found = Deadline()

    def cut() -> None:
        found.has_passed = True
        with contextlib.suppress(OSError, psycopg.Error):
            _shut_down(connection.fileno())

    timer = asyncio.get_running_loop().call_later(seconds, cut)
    try:
        yield found
    finally:
        timer.cancel()


def _shut_down(descriptor: int) -> None:
    """Shut the TCP connection down, while libpq keeps its own descriptor of it."""
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
