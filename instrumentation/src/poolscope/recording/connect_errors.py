"""Classify why a connection could not be opened, from the driver's own exception."""

import socket

from poolscope.catalogue import ConnectErrorKind

_TEXTS = (
    (
        ConnectErrorKind.TOO_MANY_CONNECTIONS,
        ("too many clients", "too many connections", "remaining connection slots are reserved"),
    ),
    (
        ConnectErrorKind.AUTHENTICATION,
        ("password authentication failed", "no password supplied", "pg_hba.conf"),
    ),
    (
        ConnectErrorKind.NAME_RESOLUTION,
        ("name or service not known", "could not translate host name", "failed to resolve host"),
    ),
    (ConnectErrorKind.REFUSED, ("connection refused",)),
    (ConnectErrorKind.TIMEOUT, ("timeout expired", "timed out")),
)


def classify_connect_error(error: BaseException) -> ConnectErrorKind:
    """Return the kind of `error`, or of the error that it wraps; `OTHER` where it says nothing.

    The messages count because psycopg gives no SQLSTATE for a connection that failed.
    """
    for cause in (error, error.__cause__, error.__context__, getattr(error, "orig", None)):
        kind = _classify(cause) if isinstance(cause, BaseException) else None
        if kind is not None:
            return kind
    return ConnectErrorKind.OTHER


def _classify(error: BaseException) -> ConnectErrorKind | None:
    if isinstance(error, socket.gaierror):
        return ConnectErrorKind.NAME_RESOLUTION
    if isinstance(error, ConnectionRefusedError):
        return ConnectErrorKind.REFUSED
    if isinstance(error, TimeoutError):
        return ConnectErrorKind.TIMEOUT
    text = str(error).lower()
    for kind, fragments in _TEXTS:
        if any(fragment in text for fragment in fragments):
            return kind
    return None
