"""Read a driver connection's facts and its statement settings, without a round trip.

Prepared statements matter behind a pooler that lends a server connection for one transaction. The
next transaction may get another server connection. There the statement is missing, or another
client has given the same name to a different statement.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from poolscope.catalogue import StatementSetting

_Answer = TypeVar("_Answer")
_Unknown = TypeVar("_Unknown")

StatementSettings = Mapping[StatementSetting, bool]
"""Whether each setting makes the driver keep statements; empty if it has no such setting."""


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """The facts that a driver has of its connection: server process, both TCP ends, keepalive (s).

    A fact is None if the driver does not give it; `keepalive_s` is 0 if keepalive is off.
    """

    backend_pid: int | None = None
    local: tuple[str, int] | None = None
    peer: tuple[str, int] | None = None
    keepalive_s: float | None = None


UNKNOWN = ConnectionFacts()


def describe(connection: Any) -> ConnectionFacts:
    """Return the facts of `connection` from its driver; a fact that is unknown or fails is None."""
    return _ask(connection, _READERS, UNKNOWN)


def bound_loop(connection: Any) -> object:
    """Return the event loop to which the driver bound a connection; None if there is none.

    Psycopg binds none: its asynchronous connections work on any loop.
    """
    return _ask(connection, _LOOP_READERS, None)


def read_statement_settings(connection: Any) -> StatementSettings | None:
    """Return the settings of a driver's or SQLAlchemy's open connection; None if unknown."""
    return _ask(connection, _STATEMENT_READERS, None)


def was_in_transaction(connection: Any) -> bool | None:
    """Return whether a lost connection had an open transaction, as its driver records it.

    None if the driver does not record it: psycopg does not, but gives the reason of the loss.
    """
    return _ask(connection, _TRANSACTION_READERS, None)


def read_last_message(connection: Any) -> str:
    """Return the last error message that libpq keeps of a connection, even of a lost one.

    Empty if the driver has none; psycopg2 shows it only in its exceptions.
    """
    if "psycopg" not in _packages_of(connection):
        return ""
    try:
        return str(connection.pgconn.error_message.decode(errors="replace"))
    except Exception:  # noqa: BLE001 - an unexpected driver must not break the caller
        return ""


def _ask(
    connection: Any, readers: Mapping[str, Callable[[Any], _Answer]], unknown: _Unknown
) -> _Answer | _Unknown:
    """Return the result of the reader for the connection's driver; `unknown` without a result."""
    reader = next((readers[name] for name in _packages_of(connection) if name in readers), None)
    if reader is None:
        return unknown
    try:
        return reader(connection)
    except Exception:  # noqa: BLE001 - an unexpected driver must not break the caller
        return unknown


def _packages_of(connection: Any) -> list[str]:
    # An application may derive a connection class from the driver's class.
    return [cls.__module__.partition(".")[0] for cls in type(connection).__mro__]


def _asyncpg(connection: Any) -> ConnectionFacts:
    transport = connection._transport  # noqa: SLF001 - no public way to the socket
    return ConnectionFacts(
        connection.get_server_pid(),
        _endpoint(transport.get_extra_info("sockname")),
        _endpoint(transport.get_extra_info("peername")),
        _keepalive_of_asyncpg(connection, transport.get_extra_info("socket")),
    )


def _psycopg(connection: Any) -> ConnectionFacts:
    return _with_socket(connection.pgconn.backend_pid, connection.pgconn.socket)


def _psycopg2(connection: Any) -> ConnectionFacts:
    return _with_socket(connection.get_backend_pid(), connection.fileno())


def _with_socket(pid: int, descriptor: int) -> ConnectionFacts:
    # Use a duplicate, so that closing it leaves the driver's descriptor open.
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


_LOOP_READERS: dict[str, Callable[[Any], object]] = dict.fromkeys(
    ("asyncpg", "aiomysql"), lambda connection: getattr(connection, "_loop", None)
)

_READERS: dict[str, Callable[[Any], ConnectionFacts]] = {
    "asyncpg": _asyncpg,
    "psycopg": _psycopg,
    "psycopg2": _psycopg2,
    "pymysql": _pymysql,
    "aiomysql": _aiomysql,
}


def _endpoint(name: Any) -> tuple[str, int] | None:
    """Return address and port of a socket name; None for a Unix socket, which has neither."""
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


def _keepalive_of_asyncpg(connection: Any, handle: Any) -> float | None:
    """Return the keepalive of either end: asyncpg has no setting, but may ask the server for one.

    If both ends send probes, the shorter time is returned.
    """
    own_s = _keepalive(handle)
    if own_s is None:
        return None
    settings = connection._params.server_settings or {}  # noqa: SLF001 - no public way to them
    asked_s = _seconds(str(settings.get("tcp_keepalives_idle", "")))
    return min(filter(None, (own_s, asked_s)), default=own_s)


def _seconds(setting: str) -> float | None:
    """Return a duration of PostgreSQL's settings in seconds; None if it has another unit."""
    found = re.fullmatch(r"\s*(\d+)\s*(s|min|h)?\s*", setting)
    return float(found[1]) * _SECONDS[found[2]] if found else None


_SECONDS = {None: 1, "s": 1, "min": 60, "h": 3600}


def _open_in_asyncpg(connection: Any) -> bool:
    return bool(connection._protocol.is_in_transaction())  # noqa: SLF001 - no public way: it is lost


def _open_in_psycopg2(connection: Any) -> bool:
    return bool(connection.status != _PSYCOPG2_READY)


_PSYCOPG2_READY = 1
"""`psycopg2.extensions.STATUS_READY`: no transaction has begun."""

_TRANSACTION_READERS: dict[str, Callable[[Any], bool]] = {
    "asyncpg": _open_in_asyncpg,
    "psycopg2": _open_in_psycopg2,
}


def _kept_by_asyncpg(connection: Any) -> StatementSettings:
    keeps = bool(connection._stmt_cache_enabled)  # noqa: SLF001 - no public way to the setting
    return {StatementSetting.STATEMENT_CACHE_SIZE: keeps}


def _kept_by_psycopg(connection: Any) -> StatementSettings:
    if connection.prepare_threshold is None:
        return {StatementSetting.PREPARE_THRESHOLD: False}
    found = {StatementSetting.PREPARE_THRESHOLD: True}
    if connection.prepared_max is not None and not _closes_statements():
        found[StatementSetting.PREPARED_MAX] = True
    return found


def _closes_statements() -> bool:
    """Return whether psycopg closes a statement by a protocol message, which needs libpq 17."""
    try:
        from psycopg import capabilities  # noqa: PLC0415 - psycopg is imported already, if used
    except ImportError:
        return False  # before psycopg 3.2
    return capabilities.has_send_close_prepared()


def _kept_by_psycopg2(_: Any) -> StatementSettings:
    return {}


def _kept_by_sqlalchemy(connection: Any) -> StatementSettings | None:
    """Read the settings of an asynchronous driver's connection inside SQLAlchemy's wrapper.

    SQLAlchemy's dialect for asyncpg prepares every statement. If asyncpg's cache is off, the
    statements have no name, unless the application names them. It is safe to keep unnamed ones.
    """
    found = read_statement_settings(connection.driver_connection)
    if found is None or not hasattr(connection, "_prepared_statement_cache"):
        return found
    keeps = connection._prepared_statement_cache is not None  # noqa: SLF001 - as above
    default_name = getattr(type(connection), "_default_name_func", None)
    name = getattr(connection, "_prepared_statement_name_func", default_name)
    is_named = name is not default_name or found[StatementSetting.STATEMENT_CACHE_SIZE]
    return {**found, StatementSetting.PREPARED_STATEMENT_CACHE_SIZE: keeps and is_named}


_STATEMENT_READERS: dict[str, Callable[[Any], StatementSettings | None]] = {
    "asyncpg": _kept_by_asyncpg,
    "psycopg": _kept_by_psycopg,
    "psycopg2": _kept_by_psycopg2,
    "sqlalchemy": _kept_by_sqlalchemy,
}
