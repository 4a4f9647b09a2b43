"""Classify why a server did not answer, as a closed set of reasons without secrets."""

from enum import StrEnum

import psycopg
from psycopg import errors


class Reason(StrEnum):
    """The reason why a server did not answer.

    With CREDENTIALS, the exporter has no password to send. With TOO_MANY_CONNECTIONS, every slot is
    used. With RESERVED_SLOTS, every slot for ordinary roles is used. With WRONG_ROLE, the server
    answers, but it is not the primary, or the replica, that the settings expect.
    """

    REFUSED = "refused"
    TIMEOUT = "timeout"
    NAME_RESOLUTION = "name_resolution"
    AUTHENTICATION = "authentication"
    CREDENTIALS = "credentials"
    TLS = "tls"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    RESERVED_SLOTS = "reserved_slots"
    ROLE_LIMIT = "role_limit"
    DATABASE_LIMIT = "database_limit"
    WRONG_ROLE = "wrong_role"
    TERMINATED = "terminated"
    PERMISSION = "permission"
    OTHER = "other"


FULL = frozenset((Reason.TOO_MANY_CONNECTIONS, Reason.RESERVED_SLOTS))
"""The reasons that affect every ordinary role: the server accepts no connection from it."""

_NO_SLOT = FULL | {Reason.ROLE_LIMIT, Reason.DATABASE_LIMIT}


class ServerUnavailableError(Exception):
    """A server did not answer; the message contains no secret."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


_CLASSES: tuple[tuple[type[psycopg.Error], Reason], ...] = (
    (errors.QueryCanceled, Reason.TIMEOUT),
    (errors.LockNotAvailable, Reason.TIMEOUT),
    (errors.ConnectionTimeout, Reason.TIMEOUT),
    (errors.InsufficientPrivilege, Reason.PERMISSION),
    (errors.UndefinedFunction, Reason.PERMISSION),
    (errors.AdminShutdown, Reason.TERMINATED),
    (errors.CrashShutdown, Reason.TERMINATED),
    (errors.CannotConnectNow, Reason.TERMINATED),
    (errors.IdleSessionTimeout, Reason.TERMINATED),
    (errors.IdleInTransactionSessionTimeout, Reason.TERMINATED),
)

# psycopg has no SQLSTATE for a failed connect, so the reason must be read from the text.
_TEXTS = (
    ("too many connections for role", Reason.ROLE_LIMIT),
    ("too many connections for database", Reason.DATABASE_LIMIT),
    ("too many connections", Reason.TOO_MANY_CONNECTIONS),
    ("too many clients", Reason.TOO_MANY_CONNECTIONS),
    ("no more connections allowed", Reason.TOO_MANY_CONNECTIONS),
    ("remaining connection slots are reserved", Reason.RESERVED_SLOTS),
    ("certificate", Reason.TLS),
    ("connection refused", Reason.REFUSED),
    ("no such file or directory", Reason.REFUSED),
    ("timeout expired", Reason.TIMEOUT),
    ("timed out", Reason.TIMEOUT),
    ("could not translate host name", Reason.NAME_RESOLUTION),
    ("failed to resolve host", Reason.NAME_RESOLUTION),
    ("name or service not known", Reason.NAME_RESOLUTION),
    ("authentication failed", Reason.AUTHENTICATION),
    ("no password supplied", Reason.AUTHENTICATION),
    ("no pg_hba.conf entry", Reason.AUTHENTICATION),
    ("is not permitted to log in", Reason.AUTHENTICATION),
    ("permission denied", Reason.PERMISSION),
    # PgBouncer's console sends this to a role in neither stats_users nor admin_users.
    ("fatal:  not allowed", Reason.PERMISSION),
    ("terminating connection", Reason.TERMINATED),
    ("server closed the connection", Reason.TERMINATED),
    ("the database system is", Reason.TERMINATED),
    ("connection is closed", Reason.TERMINATED),
    ("connection socket closed", Reason.TERMINATED),
    ("has been closed unexpectedly", Reason.TERMINATED),
    ("ssl", Reason.TLS),
)


def reason_of(error: psycopg.Error) -> Reason:
    """Return why a statement or a connect failed.

    If several addresses were tried, "full" has precedence over "refused", because it is more
    precise.
    """
    told = _reason_in(str(error))
    if told in _NO_SLOT:
        return told
    return next((reason for kind, reason in _CLASSES if isinstance(error, kind)), told)


def _reason_in(text: str) -> Reason:
    text = text.lower()
    # Trust authentication rejects an unknown role with `role "x" does not exist`.
    if 'role "' in text and "does not exist" in text:
        return Reason.AUTHENTICATION
    return next((reason for part, reason in _TEXTS if part in text), Reason.OTHER)


def telling_line(error: psycopg.Error) -> str:
    """Return the line of an error's text that states its reason, else the first line."""
    reason = reason_of(error)
    lines = str(error).strip().splitlines()
    telling = (line.strip() for line in lines if _reason_in(line) is reason)
    return next(telling, first_line(error))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; the rest are hints for an interactive user."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
