"""The time-out of a driver's `connect` is read from its parameters; elsewhere it is unknown."""

import inspect
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]
import pymysql
import pytest

from poolscope.adapters.common.connect_timeouts import (
    ASYNCPG_DEFAULT_S,
    NO_LIMIT_S,
    PYMYSQL_DEFAULT_S,
    read_connect_timeout,
)

LIBPQ = ("psycopg", "psycopg2")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGCONNECT_TIMEOUT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("connect", "parameter", "default"),
    [
        (asyncpg.connect, "timeout", ASYNCPG_DEFAULT_S),
        (pymysql.Connection, "connect_timeout", PYMYSQL_DEFAULT_S),
        (aiomysql.connect, "connect_timeout", None),
    ],
)
def test_the_known_defaults_are_those_of_the_installed_drivers(
    connect: Any, parameter: str, default: float | None
) -> None:
    assert inspect.signature(connect).parameters[parameter].default == default


@pytest.mark.parametrize(
    ("driver", "given", "expected"),
    [
        ("asyncpg", {}, ASYNCPG_DEFAULT_S),
        ("asyncpg", {"timeout": 3}, 3.0),
        ("asyncpg", {"timeout": None}, NO_LIMIT_S),
        ("asyncpg", {"connect_timeout": 3}, ASYNCPG_DEFAULT_S),  # it has no such parameter
        ("pymysql", {}, PYMYSQL_DEFAULT_S),
        ("pymysql", {"connect_timeout": 4}, 4.0),
        ("aiomysql", {}, NO_LIMIT_S),
        ("aiomysql", {"connect_timeout": 0.5}, 0.5),
        ("pysqlite", {}, None),
        ("mysqldb", {"connect_timeout": 4}, None),  # a driver that nobody looked into
    ],
)
def test_each_driver_has_its_parameter_and_its_default(
    driver: str, given: dict[str, Any], expected: float | None
) -> None:
    assert read_connect_timeout(driver, given) == expected


@pytest.mark.parametrize("driver", LIBPQ)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, NO_LIMIT_S),
        ({"connect_timeout": 5}, 5.0),
        ({"connect_timeout": "5"}, 5.0),  # of a URL
        ({"connect_timeout": 0}, NO_LIMIT_S),
        ({"connect_timeout": -1}, NO_LIMIT_S),
        ({"connect_timeout": "soon"}, None),
        ({"service": "orders"}, None),
        ({"service": "orders", "connect_timeout": 5}, 5.0),
        ({"dsn": "connect_timeout=3"}, None),
        ({"conninfo": "connect_timeout=3"}, None),
    ],
)
def test_libpq_without_a_setting_has_no_limit(
    driver: str, given: dict[str, Any], expected: float | None
) -> None:
    assert read_connect_timeout(driver, given) == expected


@pytest.mark.parametrize("driver", LIBPQ)
def test_libpqs_variables_stand_in(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "orders")
    assert read_connect_timeout(driver, {}) is None
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    assert read_connect_timeout(driver, {}) == 7.0
    assert read_connect_timeout(driver, {"connect_timeout": 5}) == 5.0
