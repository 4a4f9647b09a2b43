"""TCP ports of loopback that nobody uses."""

import socket
from collections.abc import Sequence

HOST = "127.0.0.1"


def free_ports(preferred: Sequence[int]) -> list[int]:
    """Return as many different ports: each the preferred one if it is free, else any (as for 0)."""
    bound = [_bind(port) for port in preferred]
    try:
        return [each.getsockname()[1] for each in bound]
    finally:
        for each in bound:
            each.close()


def _bind(preferred: int) -> socket.socket:
    for port in (preferred, 0):
        bound = socket.socket()
        # As servers do: connections that have ended do not keep a port from being free.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
            # Two sockets that only are bound may share a port; one that listens has it alone.
            bound.listen(1)
        except OSError:
            bound.close()
            continue
        return bound
    raise OSError(f"no free port on {HOST}")
