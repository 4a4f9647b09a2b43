"""Classify why a connection could not be opened, from the driver's exception.

asyncpg gives the SQLSTATE of the server's answer. For a failed connect, psycopg and psycopg2 give
only libpq's text. One error may name several attempts: each address of a host, and each host of a
list. The attempt that got farthest gives the kind, because the answer of a server explains more
than an address without a listener.
"""

import re
import socket
import ssl

from poolscope.catalogue import ConnectErrorKind
from poolscope.recording.driver_errors.connect_error_signs import (
    ASYNCPG_CLASSES,
    ERRNOS,
    MYSQL_NUMBERS,
    POOLER_WITHOUT_SERVER,
    SQLSTATES,
    TEXTS,
)
from poolscope.recording.driver_errors.error_chain import (
    CAUSES,
    contained,
    message_of,
    mysql_number_of,
    related_errors,
    sqlstate_of,
)

_MAX_TEXT = 4_000
"""Characters of a message that are searched: with many hosts it has a paragraph for each."""

_FARTHEST_FIRST = tuple(TEXTS)

_QUOTED = re.compile(r'"[^"\n]*"|[«»][^«»\n]*[«»]|(?<!\w)\'[^\'\n]*\'')
"""A name: »x« or «x» in other languages. The quote in "can't" does not start a name."""

_ERRNO = re.compile(r"\[errno (-?\d+)\]")

_Kind = ConnectErrorKind | None


def classify_connect_error(error: BaseException) -> ConnectErrorKind:
    """Return the kind of `error`, or of the errors that it wraps; `OTHER` if no kind fits.

    It never raises, even if the exception cannot be printed: that attempt failed, too. The error
    that was handled when `error` was raised may be unrelated. It counts only if no other error
    gives a kind.
    """
    for links in (CAUSES, (*CAUSES, "__context__")):
        kinds = {kind for found in related_errors(error, links) if (kind := _kind_of(found))}
        if kinds:
            return min(kinds, key=_FARTHEST_FIRST.index)
    return ConnectErrorKind.OTHER


def _kind_of(error: BaseException) -> _Kind:
    """Return the kind of one error, from its most reliable sign."""
    signs = (
        _by_sqlstate, _by_mysql_number, _by_asyncpg_class, _by_system_error, _by_text, _by_class,
    )  # fmt: skip
    kinds = (contained(sign, error) for sign in signs)
    return next((kind for kind in kinds if kind is not None), None)


def _by_sqlstate(error: BaseException) -> _Kind:
    state = sqlstate_of(error)
    return None if state is None else SQLSTATES.get(state) or SQLSTATES.get(state[:2])


def _by_mysql_number(error: BaseException) -> _Kind:
    number = mysql_number_of(error)
    return None if number is None else MYSQL_NUMBERS.get(number)


def _by_asyncpg_class(error: BaseException) -> _Kind:
    return ASYNCPG_CLASSES.get(type(error).__name__)


def _by_system_error(error: BaseException) -> _Kind:
    if isinstance(error, socket.gaierror):
        return ConnectErrorKind.NAME_RESOLUTION
    if isinstance(error, TimeoutError):
        return ConnectErrorKind.TIMEOUT
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return ERRNOS.get(error.errno or 0)  # a TLS error has a number of OpenSSL instead
    return None


def _by_text(error: BaseException) -> _Kind:
    text = _QUOTED.sub('""', message_of(error)[:_MAX_TEXT].lower())
    numbers = [int(number) for number in _ERRNO.findall(text)]
    kinds = {ERRNOS.get(n) if n > 0 else ConnectErrorKind.NAME_RESOLUTION for n in numbers}
    for kind, fragments in TEXTS.items():
        if kind in kinds or any(fragment in text for fragment in fragments):
            return kind
    is_pooler = any(fragment in text for fragment in POOLER_WITHOUT_SERVER)
    return ConnectErrorKind.NOT_READY if is_pooler else None


def _by_class(error: BaseException) -> _Kind:
    """Return the kind of an error's class, for an error with a text that gives no kind."""
    if isinstance(error, ssl.SSLError):
        return ConnectErrorKind.TLS
    if isinstance(error, ConnectionRefusedError):
        return ConnectErrorKind.REFUSED
    if isinstance(error, ConnectionError):
        return ConnectErrorKind.RESET
    # psycopg and psycopg2 raise this for a connection string that they cannot read.
    is_of_dsn = type(error).__name__ == "ProgrammingError"
    return ConnectErrorKind.WRONG_SETTING if is_of_dsn else None
