"""Cut a connection if its answer does not arrive in time."""

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
    """A flag that is True after the deadline has passed and the connection was cut."""

    has_passed: bool = False


@contextlib.contextmanager
def deadline(connection: Driver, seconds: float) -> Iterator[Deadline]:
    """Cut the connection when the deadline passes.

    A cancellation alone is not enough: psycopg then asks the server to cancel the statement, and
    waits for the result. A server that cannot be reached answers neither request.
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
    """Shut the TCP connection down; libpq keeps its own descriptor of it."""
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
