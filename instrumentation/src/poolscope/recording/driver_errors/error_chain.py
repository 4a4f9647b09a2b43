"""Read an exception and the exceptions that it wraps, without raising an error of their code."""

from collections.abc import Callable
from typing import Any

CAUSES = ("exceptions", "orig", "original_exception", "__cause__")
"""Attributes with the wrapped errors: of a group, SQLAlchemy, PyMySQL and `raise from`."""

_MAX_ERRORS = 16
"""Most exceptions that are read: a chain of causes may be long, or a circle."""


def related_errors(error: BaseException, links: tuple[str, ...] = CAUSES) -> list[BaseException]:
    """Return `error` and the errors behind its `links`, each once, up to the limit."""
    found = [error]
    for known in found:  # the list grows meanwhile
        for link in links:
            linked = contained(getattr, known, link, None)
            for other in linked if isinstance(linked, tuple | list) else (linked,):
                is_new = isinstance(other, BaseException) and all(other is not e for e in found)
                if is_new and len(found) < _MAX_ERRORS:
                    found.append(other)
    return found


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error of asyncpg, psycopg or psycopg2; None if it has none."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state if isinstance(state, str) else None


def mysql_number_of(error: BaseException) -> int | None:
    """Return the error number of a MySQL or MariaDB driver's error; None if it has none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) and not isinstance(error, OSError) else None


def message_of(error: BaseException) -> str:
    """Return the text of an error; PyMySQL's (number, message) is joined without quotes."""
    is_whole = isinstance(error, OSError) or not error.args[1:]
    return str(error) if is_whole else " ".join(map(str, error.args))


def contained(look: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of `look`, or None if it raises."""
    try:
        return look(*arguments)
    except Exception:  # noqa: BLE001 - an exception may raise when it is printed or read
        return None
