"""Read a driver's time-out for opening a connection, from the parameters of its `connect`."""

import os
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

ASYNCPG_DEFAULT_S = 60.0
PYMYSQL_DEFAULT_S = 10.0

_ELSEWHERE = ("service", "dsn", "conninfo")

NO_LIMIT_S = 0.0
"""The value for "no limit" in libpq and in a push."""


def read_connect_timeout(driver: str, given: Mapping[str, Any]) -> float | None:
    """Return the time-out in seconds; 0 if an attempt has no limit, None if that is unknown.

    `given` are the parameters of the driver's `connect`; the driver's default replaces a missing
    one.
    """
    reader = _READERS.get(driver)
    return None if reader is None else reader(given)


def read_libpq_timeout(given: Mapping[str, Any]) -> float | None:
    """Return the time-out of libpq's parameters, or else of libpq's variable, in seconds.

    None if it may be in a service file, or in a connection string beside the parameters.
    """
    value = given.get("connect_timeout", os.environ.get("PGCONNECT_TIMEOUT"))
    if value is not None:
        return _seconds(value)
    is_elsewhere = os.environ.get("PGSERVICE") or any(map(given.get, _ELSEWHERE))
    return None if is_elsewhere else NO_LIMIT_S


def _asyncpg(given: Mapping[str, Any]) -> float | None:
    return _seconds(given.get("timeout", ASYNCPG_DEFAULT_S))


def _pymysql(given: Mapping[str, Any]) -> float | None:
    return _seconds(given.get("connect_timeout", PYMYSQL_DEFAULT_S))


def _aiomysql(given: Mapping[str, Any]) -> float | None:
    return _seconds(given.get("connect_timeout"))


_READERS: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "asyncpg": _asyncpg,
    "psycopg": read_libpq_timeout,
    "psycopg2": read_libpq_timeout,
    "pymysql": _pymysql,
    "aiomysql": _aiomysql,
}


def _seconds(value: Any) -> float | None:
    """Read a number or its text; None, and a number that is not positive, mean no limit."""
    if value is None:
        return NO_LIMIT_S
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None  # the driver will reject it
    return max(seconds, NO_LIMIT_S) if isfinite(seconds) else NO_LIMIT_S
