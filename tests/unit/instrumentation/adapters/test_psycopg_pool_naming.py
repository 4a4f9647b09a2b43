"""What a pool of psycopg_pool is called, and what is lost when a future version lacks a name."""

from typing import Any

import psycopg_pool
import pytest
from psycopg_pool import pool as sync_pool

from poolscope.adapters.psycopg_pool.pools import identify_pool
from poolscope.recording.pool import PoolIdentity
from support.applications.apps import instrumented


@pytest.fixture(autouse=True)
def no_libpq_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER"):
        monkeypatch.delenv(name, raising=False)


def name_of(conninfo: Any = "", **options: Any) -> PoolIdentity:
    pool: Any = psycopg_pool.ConnectionPool(conninfo, open=False, **options)
    return identify_pool(pool)


@pytest.mark.parametrize(
    ("conninfo", "options", "expected"),
    [
        ("postgresql://u:secret@db:6432/orders", {}, ("orders", "db", 6432, "orders")),
        ("host=db user=u password=secret", {}, ("u", "db", 5432, "u")),
        ("", {"kwargs": {"host": "db", "dbname": "orders"}}, ("orders", "db", 5432, "orders")),
        ("dbname=orders", {"name": "replica"}, ("replica", "", None, "orders")),
        ("dbname=orders", {"name": "pool-7"}, ("orders", "", None, "orders")),
        ("", {}, ("psycopg_pool", "", None, "")),
    ],
)
def test_a_pool_is_named_by_its_user_or_what_it_was_told_and_never_by_its_password(
    conninfo: str, options: dict[str, Any], expected: tuple[str, str, int | None, str]
) -> None:
    identity = name_of(conninfo, **options)
    found = (
        identity.name,
        identity.server_address,
        identity.server_port,
        identity.db_namespace,
    )
    assert found == expected
    assert "secret" not in repr(identity)


def test_what_makes_connection_strings_is_not_called_for_a_name() -> None:
    def expensive() -> Any:
        raise AssertionError

    assert name_of(expensive, kwargs=expensive).name == "psycopg_pool"
    assert name_of(expensive, name="orders").name == "orders"


def test_a_private_name_that_is_gone_costs_its_own_signal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(sync_pool.WaitingClient, "wait")
    with instrumented() as readings:
        assert readings.instrumentation.registry.hook_errors == 1
        assert "WaitingClient has no wait" in str(readings.instrumentation.registry.last_hook_error)
        assert hasattr(psycopg_pool.ConnectionPool.getconn, "__wrapped__")
    assert not hasattr(psycopg_pool.ConnectionPool.getconn, "__wrapped__")
