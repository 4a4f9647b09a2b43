"""Ask a driver's connection who it is on the server, without a round trip."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What a driver knows of its connection: server process, both TCP ends, keepalive (s).

    Everything is None where the driver does not say; `keepalive_s` is 0 when keepalive is off.
    """

    backend_pid: int | None = None
    local: tuple[str, int] | None = None
    peer: tuple[str, int] | None = None
    keepalive_s: float | None = None


UNKNOWN = ConnectionFacts()


def describe(connection: Any) -> ConnectionFacts:
    """Return what the driver of `connection` knows; what fails or is unknown stays None."""
    # An application may have a connection class of its own, derived from the driver's.
    packages = (cls.__module__.partition(".")[0] for cls in type(connection).__mro__)
    reader = next((_READERS[name] for name in packages if name in _READERS), None)
    if reader is None:
        return UNKNOWN
    try:
        return reader(connection)
    except Exception:  # noqa: BLE001 - a driver we do not know well must not break its checkout
        return UNKNOWN


def _asyncpg(connection: Any) -> ConnectionFacts:
    transport = connection._transport  # noqa: SLF001 - no public way to the socket
    return ConnectionFacts(
        connection.get_server_pid(),
        _endpoint(transport.get_extra_info("sockname")),
        _endpoint(transport.get_extra_info("peername")),
        _keepalive(transport.get_extra_info("socket")),
    )


def _psycopg(connection: Any) -> ConnectionFacts:
    return _with_socket(connection.pgconn.backend_pid, connection.pgconn.socket)


def _psycopg2(connection: Any) -> ConnectionFacts:
    return _with_socket(connection.get_backend_pid(), connection.fileno())


def _with_socket(pid: int, descriptor: int) -> ConnectionFacts:
    # A duplicate, so that closing ours leaves the driver's open.
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        return ConnectionFacts(
            pid,
            _endpoint(duplicate.getsockname()),
            _endpoint(duplicate.getpeername()),
            _keepalive(duplicate),
        )


def _pymysql(connection: Any) -> ConnectionFacts:
    handle = connection._sock  # noqa: SLF001 - no public way to the socket
    return ConnectionFacts(
        connection.thread_id(),
        _endpoint(handle.getsockname()),
        _endpoint(handle.getpeername()),
        _keepalive(handle),
    )


def _aiomysql(connection: Any) -> ConnectionFacts:
    transport = connection._writer.transport  # noqa: SLF001 - as above
    return ConnectionFacts(
        connection.thread_id(),
        _endpoint(transport.get_extra_info("sockname")),
        _endpoint(transport.get_extra_info("peername")),
        _keepalive(transport.get_extra_info("socket")),
    )


_READERS: dict[str, Callable[[Any], ConnectionFacts]] = {
    "asyncpg": _asyncpg,
    "psycopg": _psycopg,
    "psycopg2": _psycopg2,
    "pymysql": _pymysql,
    "aiomysql": _aiomysql,
}


def _endpoint(name: Any) -> tuple[str, int] | None:
    """Read a socket name; a Unix socket has none that a server could confirm."""
    if isinstance(name, tuple) and len(name) >= 2:  # noqa: PLR2004 - (address, port, …)
        return str(name[0]), int(name[1])
    return None


def _keepalive(handle: Any) -> float | None:
    if handle is None or handle.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if not handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return 0.0
    if not hasattr(socket, "TCP_KEEPIDLE"):
        return None
    return float(handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
