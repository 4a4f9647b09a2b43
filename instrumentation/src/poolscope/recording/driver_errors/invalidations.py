"""Classify why a connection was lost, from the exception that its last statement raised.

Psycopg gives the SQLSTATE of the server's last message, even if it came long ago. With asyncpg,
the error has it only if a statement ran when the message came. With psycopg2, the error never has
it without TLS. Such a driver reports only that the other end has closed the connection, which may
have any reason.
"""

import re
import ssl
from collections.abc import Callable
from typing import Any

from poolscope.catalogue import InvalidationReason
from poolscope.recording.driver_errors.error_chain import (
    contained,
    message_of,
    mysql_number_of,
    related_errors,
    sqlstate_of,
)
from poolscope.recording.driver_errors.invalidation_signs import (
    BROKEN_CLASSES,
    CUT_OFF,
    MYSQL_NUMBERS,
    PROTOCOL_VIOLATION,
    SILENT_TEXTS,
    SQLSTATES,
    TEXTS,
)
from poolscope.recording.drivers import read_last_message, was_in_transaction

_MAX_TEXT = 400
"""Characters of a message that are searched."""

_MOST_TELLING_FIRST = tuple(TEXTS)

_QUOTED = re.compile(r'"[^"]*"')
"""A quoted name: it is removed, because a name explains nothing."""

_Reason = InvalidationReason | None


def classify_loss(error: BaseException, connection: Any) -> InvalidationReason:
    """Return why a driver's `connection` was lost when `error` was raised or handled.

    If the error does not give the reason, the last message of the connection may give it.
    """
    reason = classify_invalidation(error, was_in_transaction(connection))
    if reason is InvalidationReason.ERROR:
        return classify_message(read_last_message(connection))
    return reason


def classify_invalidation(
    error: BaseException, in_transaction: bool | None = None
) -> InvalidationReason:
    """Return the reason from `error`, or from an error that it wraps; `ERROR` if none gives one.

    Set `in_transaction` to the driver's record of an open transaction at the time of the loss.
    It never raises, even if the error cannot be printed.
    """
    if not isinstance(error, Exception):
        return InvalidationReason.CANCELLED  # the task, the greenlet or the process must end
    related = related_errors(error)
    reasons = {reason for found in related if (reason := _reason_of(found))}
    if reasons:
        return min(reasons, key=_MOST_TELLING_FIRST.index)
    if any(contained(_is_silent, found) for found in related):
        return classify_silent_loss(in_transaction)
    return InvalidationReason.ERROR


def classify_silent_loss(in_transaction: bool | None) -> InvalidationReason:
    """Return the reason if the other end closed a connection and no more is known.

    An open transaction may have been the reason: then no setting of the pool would have prevented
    it. If there was none, a test before the use would have found the socket closed.
    """
    return InvalidationReason.SOCKET if in_transaction is False else InvalidationReason.ERROR


def classify_message(message: str) -> InvalidationReason:
    """Return the reason from the message of a driver or a server; `ERROR` if it gives none."""
    return _by_text(message) or InvalidationReason.ERROR


def _reason_of(error: BaseException) -> _Reason:
    """Return the reason from one error, by its most reliable sign."""
    signs: tuple[Callable[[BaseException], _Reason], ...] = (
        _by_sqlstate, _by_mysql_number, _by_class, _by_system_error, _by_own_text, _by_violation,
    )  # fmt: skip
    reasons = (contained(sign, error) for sign in signs)
    return next((reason for reason in reasons if reason is not None), None)


def _by_sqlstate(error: BaseException) -> _Reason:
    return SQLSTATES.get(sqlstate_of(error) or "")


def _by_mysql_number(error: BaseException) -> _Reason:
    return MYSQL_NUMBERS.get(mysql_number_of(error) or 0)


def _by_class(error: BaseException) -> _Reason:
    return InvalidationReason.BROKEN if type(error).__name__ in BROKEN_CLASSES else None


def _by_system_error(error: BaseException) -> _Reason:
    if isinstance(error, ssl.SSLError):
        is_end = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return InvalidationReason.SOCKET if is_end else InvalidationReason.BROKEN
    if isinstance(error, TimeoutError) and not error.errno:
        return InvalidationReason.TIMEOUT  # of the driver: a time-out of the system has a number
    is_cut = isinstance(error, ConnectionError | EOFError)
    is_cut = is_cut or (isinstance(error, OSError) and error.errno in CUT_OFF)
    return InvalidationReason.SOCKET if is_cut else None


def _by_own_text(error: BaseException) -> _Reason:
    # SQLAlchemy's error repeats the text of the driver's error; its class decides how to read it.
    is_repeated = isinstance(getattr(error, "orig", None), BaseException)
    return None if is_repeated or _is_silent(error) else _by_text(message_of(error))


def _by_text(message: str) -> _Reason:
    line = _first_line(message)
    found = (reason for reason, parts in TEXTS.items() if any(part in line for part in parts))
    return next(found, None)


def _by_violation(error: BaseException) -> _Reason:
    return InvalidationReason.BROKEN if sqlstate_of(error) == PROTOCOL_VIOLATION else None


def _is_silent(error: BaseException) -> bool:
    driver = type(error).__module__.partition(".")[0]
    line = _first_line(message_of(error))
    return any(part in line for part in SILENT_TEXTS.get(driver, ()))


def _first_line(message: str) -> str:
    """Return the first line: in the next lines, libpq adds that the server is gone.

    If the first line is in an unsupported language, the addition would count as a broken socket.
    """
    return _QUOTED.sub('""', message[:_MAX_TEXT].partition("\n")[0].lower())
