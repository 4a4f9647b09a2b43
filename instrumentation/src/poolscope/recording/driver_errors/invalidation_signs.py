"""The signs of each reason why a connection was lost: SQLSTATEs, numbers, classes, text.

They come from PostgreSQL, libpq, PgBouncer, MariaDB, MySQL and the operating system.
"""

import errno

from poolscope.catalogue import InvalidationReason
from poolscope.recording.driver_errors.connect_error_signs import POOLER_WITHOUT_SERVER

SQLSTATES = {
    "25P03": InvalidationReason.IDLE_IN_TRANSACTION_TIMEOUT,
    "25P04": InvalidationReason.TRANSACTION_TIMEOUT,
    "57P05": InvalidationReason.IDLE_SESSION_TIMEOUT,
    "57P01": InvalidationReason.ADMIN,  # admin_shutdown, pg_terminate_backend
    "57P02": InvalidationReason.ADMIN,  # crash_shutdown
    "57P04": InvalidationReason.ADMIN,  # database_dropped
    "57014": InvalidationReason.TIMEOUT,  # query_canceled, statement_timeout
    "08003": InvalidationReason.SOCKET,  # asyncpg: closed in the middle of an operation
    "08006": InvalidationReason.SOCKET,
}
"""Reasons by SQLSTATE. PgBouncer ends every client with 08P01, so its text is read first."""

PROTOCOL_VIOLATION = "08P01"

MYSQL_NUMBERS = {
    1053: InvalidationReason.ADMIN,  # the server shuts down
    1927: InvalidationReason.ADMIN,  # MariaDB: the connection was killed
    2006: InvalidationReason.SOCKET,
    2013: InvalidationReason.SOCKET,
    4031: InvalidationReason.IDLE_SESSION_TIMEOUT,
}

BROKEN_CLASSES = frozenset({"InternalClientError", "ProtocolError"})
"""Classes of asyncpg for messages of the server that it does not understand."""

CUT_OFF = frozenset({
    errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN, errno.ESHUTDOWN,
    errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN,
    errno.ENETRESET,
})  # fmt: skip
"""Error numbers of a connection that is gone."""

TEXTS = {
    InvalidationReason.IDLE_IN_TRANSACTION_TIMEOUT: (
        "idle-in-transaction timeout",
        "idle transaction timeout",  # PgBouncer
    ),
    InvalidationReason.TRANSACTION_TIMEOUT: ("transaction timeout",),
    InvalidationReason.IDLE_SESSION_TIMEOUT: (
        "idle-session timeout",
        "client_idle_timeout",  # PgBouncer
    ),
    InvalidationReason.ADMIN: (
        "due to administrator command",
        "because of crash of another server process",
        "due to unexpected postmaster exit",
        "the database system is shutting down",
    ),
    InvalidationReason.TIMEOUT: (
        "due to statement timeout",
        "due to user request",
        "query timeout",  # PgBouncer
    ),
    InvalidationReason.BROKEN: (
        "lost synchronization with server",
        "unexpected response from server",
        "message contents do not agree with length",
    ),
    InvalidationReason.SOCKET: (
        "server closed the connection unexpectedly",
        "connection has been closed unexpectedly",
        "could not receive data from server",
        "could not send data to server",
        "connection reset by peer",
        "broken pipe",
        "connection timed out",
        "eof detected",
        "unexpected eof",
    ),
    # PgBouncer reports to its client that there is no server connection, but not why.
    InvalidationReason.ERROR: ("query_wait_timeout", *POOLER_WITHOUT_SERVER),
}
"""Message parts in lower case, in the first line; the most specific reason is first."""

SILENT_TEXTS = {
    "psycopg2": (
        "server closed the connection unexpectedly",
        "connection has been closed unexpectedly",
    ),
    "asyncpg": ("connection is closed", "has been released back to the pool"),
}
"""By driver: messages that the other end has closed the connection, without its reason.

psycopg2 drops the server's last message, and asyncpg drops messages between two statements.
"""
