"""The signs of each kind of failed connect: SQLSTATEs, error numbers, classes and message parts.

They come from PostgreSQL, libpq, asyncpg, PgBouncer, MariaDB, MySQL, the operating system and its
resolver.
"""

import errno

from poolscope.catalogue import ConnectErrorKind

SQLSTATES = {
    "28": ConnectErrorKind.AUTHENTICATION,  # 28000, 28P01
    "42501": ConnectErrorKind.AUTHENTICATION,  # insufficient_privilege: no CONNECT
    "53300": ConnectErrorKind.TOO_MANY_CONNECTIONS,
    "55000": ConnectErrorKind.NOT_READY,  # the database has ALLOW_CONNECTIONS false
    "57P01": ConnectErrorKind.NOT_READY,  # admin_shutdown
    "57P02": ConnectErrorKind.NOT_READY,  # crash_shutdown
    "57P03": ConnectErrorKind.NOT_READY,  # cannot_connect_now
    "57P04": ConnectErrorKind.UNKNOWN_DATABASE,  # database_dropped
    "3D000": ConnectErrorKind.UNKNOWN_DATABASE,
    "22023": ConnectErrorKind.WRONG_SETTING,  # invalid_parameter_value
    "42601": ConnectErrorKind.WRONG_SETTING,  # an invalid switch in `options`
    "42704": ConnectErrorKind.WRONG_SETTING,  # an unrecognized parameter
    "55P02": ConnectErrorKind.WRONG_SETTING,  # cant_change_runtime_param
    "57014": ConnectErrorKind.TIMEOUT,  # authentication_timeout, statement_timeout
    "08003": ConnectErrorKind.RESET,  # asyncpg: the server closed the connection
    "08006": ConnectErrorKind.RESET,
}
"""Kinds by SQLSTATE or its class. PgBouncer sends 08P01 for most refusals, so its text decides."""

_NUMBERS_BY_KIND = {
    ConnectErrorKind.TOO_MANY_CONNECTIONS: (1040, 1203, 1226),
    ConnectErrorKind.AUTHENTICATION: (
        1044, 1045, 1129, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 2049, 2054, 2059, 3118, 4151,
    ),
    ConnectErrorKind.UNKNOWN_DATABASE: (1049,),
    ConnectErrorKind.NOT_READY: (1053,),
    ConnectErrorKind.WRONG_SETTING: (1115, 1193, 1231, 1232, 1238, 1273),
    ConnectErrorKind.TLS: (2026, 3159),
    ConnectErrorKind.NAME_RESOLUTION: (2005,),
}  # fmt: skip
"""Numbers of MySQL and MariaDB with only one cause; 2003 and 2013 have several."""

MYSQL_NUMBERS = {number: kind for kind, numbers in _NUMBERS_BY_KIND.items() for number in numbers}

ERRNOS = {
    errno.ECONNREFUSED: ConnectErrorKind.REFUSED,
    errno.ENOENT: ConnectErrorKind.REFUSED,  # the Unix socket does not exist
    errno.ECONNRESET: ConnectErrorKind.RESET,
    errno.EPIPE: ConnectErrorKind.RESET,
    errno.ETIMEDOUT: ConnectErrorKind.TIMEOUT,
    errno.EHOSTUNREACH: ConnectErrorKind.UNREACHABLE,
    errno.ENETUNREACH: ConnectErrorKind.UNREACHABLE,
    errno.EHOSTDOWN: ConnectErrorKind.UNREACHABLE,
    errno.ENETDOWN: ConnectErrorKind.UNREACHABLE,
    errno.EADDRNOTAVAIL: ConnectErrorKind.UNREACHABLE,
    errno.EACCES: ConnectErrorKind.UNREACHABLE,  # a firewall of this host
    errno.EPERM: ConnectErrorKind.UNREACHABLE,
}

TEXTS = {
    ConnectErrorKind.TOO_MANY_CONNECTIONS: (
        "too many clients",
        "too many connections",
        "connection slots are reserved",
        "pg_use_reserved_connections",
        "requested standby connections exceeds",
        "no more connections allowed",
        "client connections exceeded",
    ),
    ConnectErrorKind.NOT_READY: (
        "the database system is",
        "not currently accepting connections",
        "cannot connect to invalid database",
        "does not allow connections",
        "terminating connection",
        "shutting down",
        'database "" is disabled',
        "session is read-only",
        "session is not read-only",
        "in hot standby mode",
        "target_session_attrs",
    ),
    ConnectErrorKind.AUTHENTICATION: (
        "authentication failed",
        "authentication method",
        "authentication mechanisms",
        "password",
        "pg_hba.conf",
        "valid client certificate",
        'role "" does not exist',
        "not permitted to log in",
        "permission denied for database",
        "permission denied to",
        "channel binding",
        "no such user",
        "login rejected",
        "auth_query",
    ),
    ConnectErrorKind.UNKNOWN_DATABASE: (
        'database "" does not exist',
        "no such database",
        "database removed",
    ),
    ConnectErrorKind.WRONG_SETTING: (
        "unrecognized configuration parameter",
        "invalid value for parameter",
        "cannot be changed",
        "command-line argument",
        "requires a value",
        "startup parameter",
        "server parameter",
        "connection option",
        "connection info string",
        "invalid sslmode value",
        "invalid port number",
        "port must be",
        "invalid uri",
        "bouncer config error",
    ),
    ConnectErrorKind.TIMEOUT: (
        "timeout expired",
        "timed out",
        "due to timeout",
        "connect timeout",
        "query_wait_timeout",
        "client_login_timeout",
        "is taking longer than",
        "couldn't get a connection after",
    ),
    ConnectErrorKind.RESET: (
        "closed the connection",
        "connection has been closed",
        "connection was closed",
        "connection reset",
        "broken pipe",
        "eof detected",
        "eof occurred",
        "unexpected eof",
        "unexpected connection_lost",
        "lost connection to",
    ),
    ConnectErrorKind.TLS: ("ssl", "tls", "certificate", "private key"),
    ConnectErrorKind.REFUSED: (
        "connection refused",
        "actively refused",
        "no such file or directory",
    ),
    ConnectErrorKind.UNREACHABLE: (
        "no route to host",
        "is unreachable",
        "host is down",
        "network is down",
        "cannot assign requested address",
        "failed: permission denied",
        "failed: operation not permitted",
    ),
    ConnectErrorKind.NAME_RESOLUTION: (
        "could not translate host name",
        "failed to resolve host",
        "name or service not known",
        "name resolution",
        "no address associated",
        "nodename nor servname",
        "getaddrinfo",
        "dns lookup failed",
        "codec failed (unicodeerror: label",
    ),
}
"""Message parts in lower case, without quoted names; the attempt that got farthest is first."""

POOLER_WITHOUT_SERVER = (
    "server login",
    "cannot connect to server",
    "server conn crashed",
    "connect failed",
)
"""Messages of a PgBouncer that cannot log in to its server and got no reason from it."""

ASYNCPG_CLASSES = {
    "ClientConfigurationError": ConnectErrorKind.WRONG_SETTING,
    "TargetServerAttributeNotMatched": ConnectErrorKind.NOT_READY,
}
