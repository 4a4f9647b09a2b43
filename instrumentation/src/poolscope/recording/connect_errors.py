"""Classify why a connection could not be opened, from the driver's own exception.

asyncpg gives the SQLSTATE of the server's answer. psycopg and psycopg2 give none for a connection
that failed: libpq's text is all there is. One error may name several attempts (each address of a
host, each host of a list): the attempt that got farthest gives the kind, because a server that
answers explains more than an address where nothing listens.
"""

import re
import socket
import ssl
from collections.abc import Callable
from typing import Any

from poolscope.catalogue import ConnectErrorKind
from poolscope.recording.connect_error_signs import (
    ASYNCPG_CLASSES,
    ERRNOS,
    MYSQL_NUMBERS,
    POOLER_WITHOUT_SERVER,
    SQLSTATES,
    TEXTS,
)

_MAX_ERRORS = 16
"""Exceptions that are looked at: a chain of causes may be long, or a circle."""

_MAX_TEXT = 4_000
"""Characters of a message that are searched: with many hosts it has a paragraph for each."""

_FARTHEST_FIRST = tuple(TEXTS)

_QUOTED = re.compile(r'"[^"\n]*"|[«»][^«»\n]*[«»]|(?<!\w)\'[^\'\n]*\'')
"""A name: »x« or «x» where the server speaks another language. The quote in "can't" opens none."""

_ERRNO = re.compile(r"\[errno (-?\d+)\]")

_CAUSES = ("exceptions", "orig", "original_exception", "__cause__")
"""What leads from an error to what it wraps: of a group, SQLAlchemy, PyMySQL, `raise from`."""

_Kind = ConnectErrorKind | None


def classify_connect_error(error: BaseException) -> ConnectErrorKind:
    """Return the kind of `error`, or of the errors that it wraps; `OTHER` where none says why.

    Never raises: an exception that cannot even print itself is an attempt that failed, too.
    What was being handled when `error` was raised may have nothing to do with it: it counts only
    where nothing else says why.
    """
    for links in (_CAUSES, (*_CAUSES, "__context__")):
        kinds = {kind for found in _related(error, links) if (kind := _kind_of(found))}
        if kinds:
            return min(kinds, key=_FARTHEST_FIRST.index)
    return ConnectErrorKind.OTHER


def _related(error: BaseException, links: tuple[str, ...]) -> list[BaseException]:
    """Return `error` and what it leads to by `links`, each once, and not more than we look at."""
    found = [error]
    for known in found:  # it grows meanwhile
        for link in links:
            linked = _contained(getattr, known, link, None)
            for other in linked if isinstance(linked, tuple | list) else (linked,):
                is_new = isinstance(other, BaseException) and all(other is not e for e in found)
                if is_new and len(found) < _MAX_ERRORS:
                    found.append(other)
    return found


def _kind_of(error: BaseException) -> _Kind:
    """Return what an error says by itself: by the surest sign that it has."""
    signs = (
        _by_sqlstate, _by_mysql_number, _by_asyncpg_class, _by_system_error, _by_text, _by_class,
    )  # fmt: skip
    kinds = (_contained(sign, error) for sign in signs)
    return next((kind for kind in kinds if kind is not None), None)


def _by_sqlstate(error: BaseException) -> _Kind:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if not isinstance(state, str):
        return None
    return SQLSTATES.get(state) or SQLSTATES.get(state[:2])


def _by_mysql_number(error: BaseException) -> _Kind:
    first = error.args[0] if error.args else None
    if not isinstance(first, int) or isinstance(error, OSError):
        return None
    return MYSQL_NUMBERS.get(first)


def _by_asyncpg_class(error: BaseException) -> _Kind:
    return ASYNCPG_CLASSES.get(type(error).__name__)


def _by_system_error(error: BaseException) -> _Kind:
    if isinstance(error, socket.gaierror):
        return ConnectErrorKind.NAME_RESOLUTION
    if isinstance(error, TimeoutError):
        return ConnectErrorKind.TIMEOUT
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return ERRNOS.get(error.errno or 0)  # that of a TLS error is a number of OpenSSL's
    return None


def _by_text(error: BaseException) -> _Kind:
    text = _QUOTED.sub('""', _message(error)[:_MAX_TEXT].lower())
    numbers = [int(number) for number in _ERRNO.findall(text)]
    kinds = {ERRNOS.get(n) if n > 0 else ConnectErrorKind.NAME_RESOLUTION for n in numbers}
    for kind, fragments in TEXTS.items():
        if kind in kinds or any(fragment in text for fragment in fragments):
            return kind
    is_pooler = any(fragment in text for fragment in POOLER_WITHOUT_SERVER)
    return ConnectErrorKind.NOT_READY if is_pooler else None


def _message(error: BaseException) -> str:
    """Return what an error says; of PyMySQL's (number, message) not as Python would quote it."""
    is_whole = isinstance(error, OSError) or not error.args[1:]
    return str(error) if is_whole else " ".join(map(str, error.args))


def _by_class(error: BaseException) -> _Kind:
    """Return what a class stands for, where the text of its error did not say more."""
    if isinstance(error, ssl.SSLError):
        return ConnectErrorKind.TLS
    if isinstance(error, ConnectionRefusedError):
        return ConnectErrorKind.REFUSED
    if isinstance(error, ConnectionError):
        return ConnectErrorKind.RESET
    # psycopg and psycopg2 read the connection string before they connect, and raise this for it.
    is_of_dsn = type(error).__name__ == "ProgrammingError"
    return ConnectErrorKind.WRONG_SETTING if is_of_dsn else None


def _contained(look: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return look(*arguments)
    except Exception:  # noqa: BLE001 - an exception may raise when it is printed or looked at
        return None
