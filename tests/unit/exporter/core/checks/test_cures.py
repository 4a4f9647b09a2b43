"""Each cure can be followed: it has the reader's library, driver and numbers, and no others."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.capacity.demand import Demand, SharedLimit
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.checks.thresholds import DEFAULTS, changed
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, SharedUses
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.pgbouncers import Pooling, PoolMode
from poolscope_exporter.core.model.pushes import PoolsMade

SERVER = SharedLimit("main", "max_connections", 43)
BOUNCER = SharedLimit("bouncer", "max_client_conn", 43, is_bouncer=True)
CROWD = Demand(SERVER, 7, 91)
NAT = (IdleTimeout(IdleSource.NAT, 887.0),)
PROXY = (IdleTimeout(IdleSource.CONFIGURED, 887.0),)
POOLING = Pooling("bouncer", frozenset({PoolMode.TRANSACTION}), 0, (1, 20))

BAD = PoolNumbers(
    max=47, size=47, max_overflow=3, idle_min=2, timeout_s=61.0, connect_timeout_s=0.0,
    recycle_s=3533.0, idle_timeout_s=3533.0, pre_ping=False, keepalive_s=7919.0,
    blocking_checkouts_total=13, shared=SharedUses(17), made=PoolsMade("shop/db.py:19", 23),
)  # fmt: skip
"""Every setting is unsafe, with a number that occurs nowhere else."""

KEPT = {
    "asyncpg": frozenset({StatementSetting.STATEMENT_CACHE_SIZE}),
    "psycopg": frozenset({StatementSetting.PREPARE_THRESHOLD}),
    "psycopg2": frozenset[StatementSetting](),
}
READERS = {
    "SQLAlchemy with asyncpg": ("sqlalchemy", "asyncpg", "AsyncAdaptedQueuePool"),
    "SQLAlchemy with psycopg": ("sqlalchemy", "psycopg", "QueuePool"),
    "SQLAlchemy with psycopg2": ("sqlalchemy", "psycopg2", "QueuePool"),
    "asyncpg": ("asyncpg", "asyncpg", "Pool"),
    "psycopg_pool": ("psycopg_pool", "psycopg", "ConnectionPool"),
    "SQLAlchemy without a queue": ("sqlalchemy", "psycopg", "NullPool"),
    "psycopg_pool without a queue": ("psycopg_pool", "psycopg", "NullConnectionPool"),
}
OF_SQLALCHEMY = (
    "pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping", "engine",
    "connect_args", "AsyncAdaptedQueuePool", "NullPool", "async_sessionmaker",
)  # fmt: skip
OF_PSYCOPG_POOL = ("check_connection", "max_lifetime", "CONN_HEALTH_CHECKS", "kwargs=")
OF_ASYNCPG_POOL = ("max_inactive_connection_lifetime", "create_pool", "acquire()")
OF_ITS_LIBRARY = {
    "sqlalchemy": OF_SQLALCHEMY,
    "psycopg_pool": OF_PSYCOPG_POOL,
    "asyncpg": OF_ASYNCPG_POOL,
}
OF_LIBPQ = ('"keepalives_idle"', "connect_timeout", "prepare_threshold")
OF_ASYNCPG = ("server_settings", "statement_cache_size", '"timeout"')
OF_ITS_DRIVER = {"psycopg": OF_LIBPQ, "psycopg2": OF_LIBPQ, "asyncpg": OF_ASYNCPG}

PROBES_S = 300
"""C6 wants this number of seconds, the lower end of its range."""
OPENING_SHARE = 82
"""Per cent of the time-out that opening takes in the walk."""
VERSIONS = "1.21 1.22 17"
"""The versions of PgBouncer and libpq that a cure of C15 may name."""


def variants(library: str, driver: str, pool_class: str) -> Iterator[ConfigCheck]:
    """Yield every check of unsafe pools of this library, on each way to a server."""
    numbers = replace(
        BAD, library=library, driver=driver, pool_class=pool_class,
        statement_settings=KEPT[driver],
    )  # fmt: skip
    unlimited = replace(numbers, max_overflow=None)
    nothing = replace(numbers, timeout_s=None, recycle_s=None, idle_timeout_s=0.0)
    slow = replace(numbers, pre_ping=True, ping_s=0.031, connect_timeout_s=5.0, create_p95_s=4.1)
    off = replace(numbers, keepalive_s=0.0, connect_timeout_s=67.0, timeout_s=9.0)
    for each in (numbers, unlimited, nothing, slow, off):
        for timeouts in (NAT, PROXY):
            for demand in (CROWD, Demand(BOUNCER, 7, 91)):
                yield from PoolChecks().check_pool(each, timeouts, demand, POOLING)


def numbers_in(text: str) -> set[float]:
    return set(map(float, re.findall(r"\d+(?:\.\d+)?", text)))


def warnings_of(reader: str) -> list[ConfigCheck]:
    found = [check for check in variants(*READERS[reader]) if check.result is Result.WARN]
    assert found
    return found


@pytest.mark.parametrize("reader", READERS)
def test_cure_names_no_setting_of_another_library(reader: str) -> None:
    library, _, _ = READERS[reader]
    foreign = [
        word for other, words in OF_ITS_LIBRARY.items() if other != library for word in words
    ]
    misplaced = {
        (check.check_id, word): check.cure
        for check in warnings_of(reader)
        for word in foreign
        if word in f"{check.setting} {check.cure}"
    }
    assert misplaced == {}


@pytest.mark.parametrize("reader", READERS)
def test_cure_names_no_setting_of_another_driver(reader: str) -> None:
    _, driver, _ = READERS[reader]
    own = OF_ITS_DRIVER[driver]
    foreign = {word for words in OF_ITS_DRIVER.values() for word in words} - set(own)
    misplaced = {
        (check.check_id, word): check.cure
        for check in warnings_of(reader)
        for word in foreign
        if word in (check.cure or "")
    }
    assert misplaced == {}


@pytest.mark.parametrize("reader", READERS)
def test_every_number_of_a_cure_is_the_readers_or_of_the_safe_range(reader: str) -> None:
    strange = {}
    for check in warnings_of(reader):
        facts = (BAD, CROWD, POOLING, NAT, check.value, check.safe_range)
        given = f"{facts} {PROBES_S} {VERSIONS} {OPENING_SHARE}"
        if extra := numbers_in(check.cure or "") - numbers_in(given):
            strange[check.check_id, check.cure] = extra
    assert strange == {}


@pytest.mark.parametrize("reader", READERS)
def test_cure_says_what_to_change(reader: str) -> None:
    assert [check for check in warnings_of(reader) if not check.cure] == []


def test_the_walk_meets_a_warning_of_every_check() -> None:
    found = {check.check_id for reader in READERS for check in warnings_of(reader)}
    assert found == set(CheckId)


def test_range_that_a_user_changed_is_not_contradicted_by_its_cure() -> None:
    thresholds = changed(
        DEFAULTS, {"C1": {"least": 50, "most": 70}, "C3": {"least": 70, "most": 90}}
    )
    numbers = replace(BAD, library="sqlalchemy", pool_class="QueuePool")
    checks = {each.check_id: each for each in PoolChecks(thresholds).check_pool(numbers, (), CROWD)}
    for check_id in (CheckId.C1, CheckId.C3):
        told = set(re.findall(r"\d+", checks[check_id].cure or ""))
        assert told == set(re.findall(r"\d+", checks[check_id].safe_range))


def test_sqlalchemys_default_size_raises_nothing_by_itself() -> None:
    numbers = replace(BAD, library="sqlalchemy", pool_class="QueuePool", size=5, max_overflow=10)
    checks = {each.check_id: each for each in PoolChecks().check_pool(numbers, (), CROWD)}
    assert (checks[CheckId.C1].result, checks[CheckId.C2].result) == (Result.OK, Result.OK)
    assert "SQLAlchemy's default" in (checks[CheckId.C2].cure or "")


@pytest.mark.parametrize(("size", "max_overflow"), [(5, 11), (6, 10), (5, 1)])
def test_size_that_somebody_chose_is_judged(size: int, max_overflow: int) -> None:
    numbers = replace(
        BAD, library="sqlalchemy", pool_class="QueuePool", size=size, max_overflow=max_overflow
    )
    [check] = [each for each in PoolChecks().check_pool(numbers, (), CROWD)
               if each.check_id is CheckId.C2]  # fmt: skip
    assert check.result is Result.WARN
