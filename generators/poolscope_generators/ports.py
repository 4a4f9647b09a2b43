"""TCP ports of loopback that nobody else takes, also while the program on them is stopped.

A port that the kernel gives for 0 is free only until somebody else gets it, and any outgoing
connection may: with many tests at once one of them did, between the look and the bind. These ports
lie below the range of outgoing connections, and each process has a block of them to itself.

A process claims a block by a socket on its first port. A file as the lock would be another one for
each temporary folder, but two processes with different folders share the ports.
"""

import atexit
import itertools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
FIRST, BLOCK_SIZE = 12_000, 400
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_EPHEMERAL = 32_768
"""Where outgoing connections begin on Linux unless it is set; no other system is lower."""


@dataclass(frozen=True, slots=True)
class Block:
    """The ports of one process, around and around; the claim lasts as long as the process."""

    claim: socket.socket
    ports: Iterator[int]


def held_port() -> int:
    """Return a free port of this process's block: no other process returns it."""
    return next(port for port in _block().ports if _is_free(port))


def held_ports(count: int) -> list[int]:
    """Return several of them."""
    return [held_port() for _ in range(count)]


@cache
def _block() -> Block:
    for first in range(FIRST, _first_ephemeral() - BLOCK_SIZE, BLOCK_SIZE):
        claim = _claim(first)
        if claim is not None:
            atexit.register(claim.close)
            return Block(claim, itertools.cycle(range(first + 1, first + BLOCK_SIZE)))
    raise OSError(f"no block of ports is left below {_first_ephemeral()}")


def _claim(port: int) -> socket.socket | None:
    """Listen at a port; return None if another process does."""
    claim = socket.socket()
    try:
        # As servers do: connections that have ended do not keep a port from being free.
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claim.bind((HOST, port))
        claim.listen(1)  # two sockets that only are bound may share a port
    except OSError:
        claim.close()
        return None
    return claim


def _first_ephemeral() -> int:
    return int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.exists() else USUAL_EPHEMERAL


def _is_free(port: int) -> bool:
    claim = _claim(port)
    if claim is None:
        return False
    claim.close()
    return True
