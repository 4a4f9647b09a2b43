"""What an asyncpg pool is called, and what is lost when a future asyncpg lacks a private name."""

from types import SimpleNamespace
from typing import Any

import pytest
from asyncpg.pool import PoolConnectionHolder  # type: ignore[import-untyped]

from poolscope.adapters.asyncpg.pools import identify_pool
from poolscope.adapters.common.target import Target, target_of
from support.applications.apps import instrumented

VARIABLES = ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER")


@pytest.fixture(autouse=True)
def no_libpq_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def a_pool(dsn: str | None = None, **options: Any) -> Any:
    """Return what of a pool names it."""
    return SimpleNamespace(_connect_args=(dsn,), _connect_kwargs=options)


@pytest.mark.parametrize(
    ("dsn", "options", "expected"),
    [
        ("postgresql://u:secret@db:6432/orders", {}, ("orders", "db", 6432, "orders")),
        ("postgres://u:se%40cret@db/orders", {}, ("orders", "db", 5432, "orders")),
        ("postgresql://u:secret@[::1]:6432/orders", {}, ("orders", "::1", 6432, "orders")),
        ("postgresql://u@one:1,two:2/orders", {}, ("orders", "one", 1, "orders")),
        (
            "postgresql://u@/orders?host=/cloudsql/p:r:i",
            {},
            ("orders", "/cloudsql/p:r:i", 5432, "orders"),
        ),
        ("postgresql://u@/orders?host=/run/pg", {}, ("orders", "/run/pg", 5432, "orders")),
        ("postgresql://app:secret@db", {}, ("app", "db", 5432, "app")),
        ("postgresql://db/orders", {"host": "other"}, ("orders", "other", 5432, "orders")),
        (None, {"host": ["a", "b"], "port": [1, 2], "user": "u"}, ("u", "a", 1, "u")),
        (None, {"host": "db", "password": "secret"}, ("db:5432", "db", 5432, "")),
        (None, {}, ("asyncpg", "", None, "")),
    ],
)
def test_a_pool_is_named_by_what_it_was_told_and_never_by_its_password(
    dsn: str | None, options: dict[str, Any], expected: tuple[str, str, int | None, str]
) -> None:
    identity = identify_pool(a_pool(dsn, **options))
    found = (
        identity.name,
        identity.server_address,
        identity.server_port,
        identity.db_namespace,
    )
    assert found == expected
    assert "cret" not in repr(identity)


def test_the_variables_of_libpq_stand_in_for_what_was_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(VARIABLES, ("db", "6432", "orders", "app"), strict=True):
        monkeypatch.setenv(name, value)
    assert target_of({}) == Target("db", 6432, "orders")
    assert target_of({"dbname": "told"}) == Target("db", 6432, "told")


def test_a_private_name_that_is_gone_costs_its_own_signal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(PoolConnectionHolder, "_release_on_close")
    original = PoolConnectionHolder._release
    with instrumented() as readings:
        assert readings.instrumentation.registry.hook_errors == 1
        assert "_release_on_close" in str(readings.instrumentation.registry.last_hook_error)
        assert PoolConnectionHolder._release is not original
    assert PoolConnectionHolder._release is original
