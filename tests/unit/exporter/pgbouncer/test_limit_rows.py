"""SHOW CONFIG, DATABASES and USERS of several versions, read by column name, say the limits."""

from typing import Any

import pytest

from poolscope_exporter.core.capacity.pgbouncer_headroom import BouncerDatabase, BouncerLimits
from poolscope_exporter.pgbouncer.rows import limits_of

V1_15 = [
    "name", "host", "port", "database", "force_user", "pool_size", "min_pool_size",
    "reserve_pool", "pool_mode", "max_connections", "current_connections", "paused", "disabled",
]  # fmt: skip
V1_25 = [
    "name", "host", "port", "database", "force_user", "pool_size", "min_pool_size",
    "reserve_pool_size", "server_lifetime", "pool_mode", "load_balance_hosts", "max_connections",
    "current_connections", "max_client_connections", "current_client_connections", "paused",
    "disabled",
]  # fmt: skip
USERS_1_15 = ["name", "pool_mode"]
USERS_1_25 = [
    "name", "pool_size", "reserve_pool_size", "pool_mode", "max_user_connections",
    "current_connections", "max_user_client_connections", "current_client_connections",
]  # fmt: skip


def shaped(columns: list[str], **values: Any) -> dict[str, Any]:
    return {name: values.get(name) for name in columns}


def config(**settings: str) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in settings.items()]


def a_database(columns: list[str], **values: Any) -> dict[str, Any]:
    usual = {
        "name": "orders", "pool_size": 20, "reserve_pool": 5, "reserve_pool_size": 5,
        "max_connections": 0, "paused": 0,
    }  # fmt: skip
    return shaped(columns, **{**usual, **values})


CONFIG = config(max_client_conn="100", default_pool_size="20")


@pytest.mark.parametrize("columns", [V1_15, V1_25])
def test_size_of_a_pool_is_its_own_and_the_reserve_whatever_the_version(columns: list[str]) -> None:
    found = limits_of(CONFIG, [a_database(columns)], [])
    assert found == BouncerLimits(100, {"orders": BouncerDatabase(25)})


def test_limit_of_0_is_none() -> None:
    rows = [a_database(V1_15, max_connections=0), a_database(V1_15, name="b", max_connections=7)]
    found = limits_of(CONFIG, rows, [])
    assert found is not None
    assert [each.max_connections for each in found.databases.values()] == [None, 7]


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [("0", 0, {}), ("0", 7, {"shop": 7}), ("9", 0, {"shop": 9}), ("9", 7, {"shop": 7})],
)
def test_users_limit_is_their_own_or_the_default(
    default: str, own: int, expected: dict[str, int]
) -> None:
    settings = config(max_client_conn="100", max_user_connections=default)
    found = limits_of(settings, [], [shaped(USERS_1_25, name="shop", max_user_connections=own)])
    assert found is not None
    assert found.users == expected


def test_version_whose_users_have_no_limit_of_their_own_has_the_default() -> None:
    settings = config(max_client_conn="100", max_user_connections="9")
    found = limits_of(settings, [], [shaped(USERS_1_15, name="shop")])
    assert found is not None
    assert found.users == {"shop": 9}


def test_console_is_no_database() -> None:
    found = limits_of(CONFIG, [a_database(V1_15, name="pgbouncer")], [])
    assert found is not None
    assert found.databases == {}


def test_paused_database_is_told() -> None:
    found = limits_of(CONFIG, [a_database(V1_15, paused=1)], [])
    assert found is not None
    assert found.paused == {"orders"}


def test_without_the_clients_limit_nothing_is_known() -> None:
    assert limits_of(config(listen_port="6432"), [a_database(V1_15)], []) is None


def test_database_without_a_size_is_left_out() -> None:
    columns = [name for name in V1_15 if name != "pool_size"]
    found = limits_of(CONFIG, [a_database(columns)], [])
    assert found is not None
    assert found.databases == {}
