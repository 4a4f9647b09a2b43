"""C4: connections are replaced before a proxy closes them unseen, where there is a proxy at all."""

import pytest

from poolscope_exporter.core.checks.connection_life import check_recycle
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, PoolSettings, Result
from poolscope_exporter.core.model.idle_timeouts import (
    IdleSource,
    IdleTimeout,
    declared,
    tightest,
)

RDS = IdleTimeout(IdleSource.CONFIGURED, 1800.0)
BOUNCER = IdleTimeout(IdleSource.PGBOUNCER, 400.0, "bouncer")
CLOSES_NONE = IdleTimeout(IdleSource.PGBOUNCER, 0.0, "bouncer")
SILENT = IdleTimeout(IdleSource.PGBOUNCER, None, "bouncer")


def a_queue_pool(recycle_s: float | None) -> PoolSettings:
    return PoolSettings(recycle_s=recycle_s, library="sqlalchemy", pool_class="QueuePool")


def found(recycle_s: float | None, *timeouts: IdleTimeout) -> ConfigCheck:
    check = check_recycle(a_queue_pool(recycle_s), timeouts)
    assert check is not None
    assert check.check_id is CheckId.C4
    return check


@pytest.mark.parametrize(
    ("recycle_s", "result"),
    [
        (0.0, Result.OK),
        (1349.0, Result.OK),
        (1350.0, Result.OK),
        (1350.1, Result.WARN),
        (3600.0, Result.WARN),
        (None, Result.WARN),
    ],
)
def test_recycle_is_at_most_three_quarters_of_the_proxys_idle_time_out(
    recycle_s: float | None, result: Result
) -> None:
    assert found(recycle_s, RDS).result is result


def test_warning_tells_the_range_and_the_cure() -> None:
    check = found(3600.0, BOUNCER)
    assert (check.setting, check.value, check.safe_range) == (
        "pool_recycle",
        3600.0,
        "at most 300 s",
    )
    assert check.cure == (
        "set pool_recycle to at most 300 s:"
        " PgBouncer bouncer closes connections that are unused for 400 s"
    )


def test_what_is_well_needs_no_cure() -> None:
    assert found(100.0, RDS).cure is None


def test_tightest_of_several_proxies_decides() -> None:
    assert tightest([RDS, BOUNCER, CLOSES_NONE, SILENT]) == BOUNCER
    assert found(1000.0, RDS).result is Result.OK
    assert found(1000.0, RDS, BOUNCER).result is Result.WARN


def test_without_a_proxy_there_is_nothing_to_check() -> None:
    assert check_recycle(a_queue_pool(3600.0), []) is None


def test_proxy_that_closes_nothing_leaves_every_choice() -> None:
    assert found(None, CLOSES_NONE).result is Result.OK
    assert tightest([CLOSES_NONE]) is None


@pytest.mark.parametrize("recycle_s", [None, 10.0])
def test_proxy_that_does_not_tell_is_unknown_and_not_well(recycle_s: float | None) -> None:
    check = found(recycle_s, SILENT)
    assert check.result is Result.UNKNOWN
    assert check.cure is not None
    assert "PgBouncer does not answer" in check.cure


def test_proxy_that_does_not_tell_excuses_nothing_that_is_known_to_be_wrong() -> None:
    assert found(3600.0, RDS, SILENT).result is Result.WARN
    assert found(100.0, RDS, SILENT).result is Result.UNKNOWN


@pytest.mark.parametrize("library", [None, "asyncpg"])
def test_recycle_that_is_not_told_is_unknown_and_not_off(library: str | None) -> None:
    check = check_recycle(PoolSettings(library=library), [RDS])
    assert check is not None
    assert (check.result, check.value) == (Result.UNKNOWN, None)


def test_setting_bears_the_librarys_own_name() -> None:
    check = check_recycle(PoolSettings(library="psycopg_pool", recycle_s=3600.0), [RDS])
    assert check is not None
    assert (check.setting, check.result) == ("max_lifetime", Result.WARN)


def test_pool_that_keeps_no_connection_has_none_that_grows_old() -> None:
    numbers = PoolSettings(library="sqlalchemy", pool_class="NullPool")
    assert check_recycle(numbers, [RDS]) is None


def of_asyncpg(idle_s: float | None, kept: int = 0) -> ConfigCheck:
    pool = PoolSettings(
        library="asyncpg", pool_class="Pool", idle_timeout_s=idle_s, idle_min=kept, max=10
    )
    check = check_recycle(pool, [RDS])
    assert check is not None
    assert check.setting == "max_inactive_connection_lifetime"
    return check


@pytest.mark.parametrize(
    ("idle_s", "result", "value"),
    [
        (300.0, Result.OK, 300.0),
        (1350.0, Result.OK, 1350.0),
        (1350.1, Result.WARN, 1350.1),
        (0.0, Result.WARN, None),  # switched off
        (None, Result.UNKNOWN, None),  # from an older poolscope
    ],
)
def test_asyncpg_is_judged_by_how_long_a_connection_may_be_unused(
    idle_s: float | None, result: Result, value: float | None
) -> None:
    check = of_asyncpg(idle_s)
    assert (check.result, check.value) == (result, value)


def test_connections_that_asyncpg_keeps_however_long_they_are_unused_are_named() -> None:
    check = of_asyncpg(300.0, kept=4)
    assert check.result is Result.WARN
    assert check.cure == (
        "make the pool with min_size=0: asyncpg keeps min_size=4 connections open however long"
        " they are unused: the proxy closes connections that are unused for 1800 s"
    )


@pytest.mark.parametrize(
    ("kept", "idle_s", "pre_ping", "result"),
    [
        (2, 100.0, True, Result.OK),
        (2, 100.0, None, Result.OK),  # its sender does not tell whether it has a check
        (2, 100.0, False, Result.WARN),
        (0, 100.0, False, Result.OK),  # 11 unused ones are gone after 1100 s
        (0, 122.7, False, Result.OK),
        (0, 122.8, False, Result.WARN),
        (0, 0.0, False, Result.WARN),
    ],
)
def test_psycopg_pool_lends_no_unused_connection_that_nobody_checks(
    kept: int, idle_s: float, pre_ping: bool | None, result: Result
) -> None:
    pool = PoolSettings(
        library="psycopg_pool",
        recycle_s=900.0,
        idle_timeout_s=idle_s,
        idle_min=kept,
        max=10,
        pre_ping=pre_ping,
    )
    check = check_recycle(pool, [RDS])
    assert check is not None
    assert (check.setting, check.value, check.result) == ("max_lifetime", 900.0, result)
    if result is Result.WARN:
        assert check.cure is not None
        assert check.cure.startswith("make the pool with check=ConnectionPool.check_connection")


@pytest.mark.parametrize(
    ("recycle_s", "result"), [(262.5, Result.OK), (262.6, Result.WARN), (600.0, Result.WARN)]
)
def test_a_declared_nat_is_judged_as_a_proxy_is(recycle_s: float, result: Result) -> None:
    check = found(recycle_s, *declared(None, 350.0))
    assert (check.result, check.safe_range) == (result, "at most 262.5 s")
    if result is Result.WARN:
        assert check.cure == (
            "set pool_recycle to at most 262.5 s:"
            " the NAT drops connections that are unused for 350 s"
        )


def test_a_proxy_that_is_declared_to_close_nothing_leaves_every_choice() -> None:
    assert found(None, *declared(0.0, 0.0)).result is Result.OK
