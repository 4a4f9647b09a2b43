"""Free TCP ports on loopback."""

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from poolscope_exporter import clock

HOST = "127.0.0.1"
MOST_WAIT_S = 30.0
RETRY_S = 0.1


@asynccontextmanager
async def other_demos_wait() -> AsyncIterator[None]:
    """Keep other demos of this machine from choosing ports until the block ends.

    A port is free until the new exporter listens on it. Two demos that start in the same second
    would choose the same port, and one of them would show the exporter of the other. After 30 s the
    block begins in any case.
    """
    root = os.open(os.sep, os.O_RDONLY)  # a lock on what exists leaves no file behind
    try:
        until_s = clock.monotonic() + MOST_WAIT_S
        while not _has_locked(root) and clock.monotonic() < until_s:  # noqa: ASYNC110 - another process has the lock
            await asyncio.sleep(RETRY_S)
        yield
    finally:
        os.close(root)


def free_ports(preferred: Sequence[int]) -> list[int]:
    """Return as many different ports.

    A preferred port of 0, or one already in use, is replaced by any free port.
    """
    bound = [_bind(port) for port in preferred]
    try:
        return [each.getsockname()[1] for each in bound]
    finally:
        for each in bound:
            each.close()


def _has_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _bind(preferred: int) -> socket.socket:
    for port in (preferred, 0):
        bound = socket.socket()
        # As in servers: otherwise a connection that ended would keep its port occupied for a
        # minute.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
            # Two bound sockets may share a port, but only one can listen on it.
            bound.listen(1)
        except OSError:
            bound.close()
            continue
        return bound
    raise OSError(f"no free port on {HOST}")
