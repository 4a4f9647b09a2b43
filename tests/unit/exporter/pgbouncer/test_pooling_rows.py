"""SHOW CONFIG, DATABASES and USERS say how a bouncer pools, and whether it tracks statements."""

from typing import Any

import pytest

from poolscope_exporter.core.model.pgbouncers import PoolingSettings, PoolMode, Version
from poolscope_exporter.pgbouncer.rows import pooling_of, version_of


def pooling(
    *,
    databases: tuple[dict[str, Any], ...] = (),
    users: tuple[dict[str, Any], ...] = (),
    **settings: str | None,
) -> PoolingSettings:
    config = [{"key": name, "value": value} for name, value in settings.items()]
    return pooling_of("PgBouncer 1.25.0", config, databases, users)


@pytest.mark.parametrize("mode", PoolMode)
def test_mode_of_the_settings_is_the_default(mode: PoolMode) -> None:
    assert pooling(pool_mode=mode.value).default_mode is mode


@pytest.mark.parametrize("mode", [None, "", "another"])
def test_mode_that_is_not_told_or_not_known_is_none(mode: str | None) -> None:
    assert pooling(pool_mode=mode).default_mode is None


def test_databases_and_users_have_the_modes_that_they_state() -> None:
    found = pooling(
        databases=({"name": "orders", "pool_mode": "session"}, {"name": "b", "pool_mode": None}),
        users=({"name": "batch", "pool_mode": "statement"}, {"name": "shop"}),
    )
    assert found.databases == {"orders": PoolMode.SESSION}
    assert found.users == {"batch": PoolMode.STATEMENT}


@pytest.mark.parametrize(
    ("version", "setting", "expected"),
    [
        ("PgBouncer 1.21.0", "0", 0),
        ("PgBouncer 1.25.1", "200", 200),
        ("PgBouncer 1.18.0", None, 0),  # it has no such setting, and tracks nothing
        ("PgBouncer 1.20.1", None, 0),
        ("PgBouncer 1.21.0", None, None),
        ("another pooler 1.18", None, None),
        ("PgBouncer 1.25.1", "many", None),
    ],
)
def test_statements_are_tracked_by_the_setting_and_before_1_21_not_at_all(
    version: str, setting: str | None, expected: int | None
) -> None:
    config = [] if setting is None else [{"key": "max_prepared_statements", "value": setting}]
    assert pooling_of(version, config, (), ()).max_prepared_statements == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("PgBouncer 1.18.0", (1, 18)),
        ("PgBouncer 1.21.0dev", (1, 21)),
        ("PgBouncer version 1.7", None),
        ("", None),
    ],
)
def test_version_is_read_where_it_is_a_pgbouncers(told: str, expected: Version | None) -> None:
    assert version_of(told) == expected
