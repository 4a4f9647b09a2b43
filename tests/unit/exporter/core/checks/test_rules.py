"""C1 to C16: each is judged just under, at and just over its limit; a missing fact is unknown."""

from dataclasses import replace
from typing import Any

import pytest

from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.capacity.demand import (
    NOWHERE,
    Demand,
    GrownService,
    LimitedPool,
    SharedLimit,
    demands,
)
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.checks.thresholds import DEFAULTS, changed
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, SharedUses
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.pgbouncers import Pooling, PoolMode
from poolscope_exporter.core.model.pushes import PoolsMade
from support.exporter.builders import a_pool

OK, WARN, UNKNOWN = Result.OK, Result.WARN, Result.UNKNOWN

SERVER = SharedLimit("main", "max_connections", 100)
BOUNCER = SharedLimit("bouncer", "max_client_conn", 1000, is_bouncer=True)

ALONE = Demand(SERVER, 1, 15)

GOOD = PoolNumbers(
    library="sqlalchemy",
    pool_class="AsyncAdaptedQueuePool",
    max=15,
    size=10,
    max_overflow=5,
    timeout_s=30.0,
    connect_timeout_s=5.0,
    create_p95_s=0.02,
    recycle_s=300.0,
    pre_ping=True,
    ping_s=0.0004,
    keepalive_s=300.0,
    blocking_checkouts_total=0,
    shared=SharedUses(0),
    statement_settings=frozenset(),
    made=PoolsMade("shop/db.py:14", 1),
)
STRANGER = PoolNumbers(used=1, max=15, max_overflow=5)
"""What a sender tells that knows the semantic conventions alone."""

PROXY = (IdleTimeout(IdleSource.CONFIGURED, 1800.0),)
UNTRACKED = Pooling("bouncer", frozenset({PoolMode.TRANSACTION}), 0, (1, 18))


def checks(
    numbers: PoolNumbers = GOOD,
    demand: Demand = ALONE,
    timeouts: tuple[IdleTimeout, ...] = (),
    rules: PoolChecks | None = None,
    pooling: Pooling | None = None,
    *,
    is_local: bool = False,
) -> dict[CheckId, ConfigCheck]:
    found = (rules or PoolChecks()).check_pool(
        numbers, timeouts, demand, pooling, is_local=is_local
    )
    assert [check.check_id for check in found] == sorted(
        (check.check_id for check in found), key=list(CheckId).index
    )
    return {check.check_id: check for check in found}


def result(check_id: str, demand: Demand = ALONE, **told: Any) -> Result | None:
    check = checks(replace(GOOD, **told), demand).get(CheckId(check_id))
    return check.result if check else None


def test_well_configured_pool_passes_every_check_and_needs_no_cure() -> None:
    found = checks(timeouts=PROXY, pooling=UNTRACKED)
    assert {check_id: check.result for check_id, check in found.items()} == dict.fromkeys(
        CheckId, OK
    )
    assert [check.cure for check in found.values() if check.cure] == []


def test_what_is_not_told_is_unknown_and_never_well() -> None:
    found = checks(STRANGER, NOWHERE, PROXY, pooling=UNTRACKED)
    assert {check.result for check in found.values()} == {UNKNOWN}
    assert set(found) == set(CheckId) - {CheckId.C16}
    assert all(check.cure for check in found.values())


def test_c11_warns_with_both_lines_and_the_cure() -> None:
    shared = SharedUses(7, "shop/db.py:12", "shop/orders.py:133")
    check = checks(replace(GOOD, shared=shared))[CheckId.C11]
    assert (check.result, check.value) == (WARN, 7)
    assert check.cure is not None
    assert check.cure.startswith("taken at shop/db.py:12, also used at shop/orders.py:133. Give")


def test_c11_without_lines_warns_all_the_same() -> None:
    check = checks(replace(GOOD, shared=SharedUses(1)))[CheckId.C11]
    assert (check.result, (check.cure or "")[:4]) == (WARN, "Give")


@pytest.mark.parametrize(
    ("size", "expected"), [(1, WARN), (4, WARN), (5, OK), (20, OK), (21, WARN), (1000, WARN)]
)
def test_c1_size_is_from_5_to_20(size: int, expected: Result) -> None:
    assert result("C1", size=size) is expected


def test_c1_pool_without_a_limit_is_told_so() -> None:
    check = checks(replace(GOOD, size=None, max=None))[CheckId.C1]
    assert (check.result, check.value) == (WARN, None)
    assert check.cure == "set pool_size within 5 to 20: the pool has no limit"


@pytest.mark.parametrize(
    ("size", "overflow", "expected"),
    [
        (10, 4, WARN),
        (10, 5, OK),
        (10, 10, OK),
        (10, 11, WARN),
        (10, 0, WARN),
        (10, None, WARN),  # unlimited
        (5, 2, OK),  # half of 5, as far as whole connections go
        (5, 1, WARN),
        (None, 5, UNKNOWN),
    ],
)
def test_c2_overflow_is_half_to_all_of_size(
    size: int | None, overflow: int | None, expected: Result
) -> None:
    assert result("C2", size=size, max_overflow=overflow) is expected


@pytest.mark.parametrize(
    ("timeout_s", "expected"),
    [(9.9, WARN), (10.0, OK), (30.0, OK), (30.1, WARN), (0.0, WARN), (None, UNKNOWN)],
)
def test_c3_callers_wait_10_to_30_seconds(timeout_s: float | None, expected: Result) -> None:
    assert result("C3", timeout_s=timeout_s) is expected


def test_c4_is_checked_where_a_proxy_is_known_and_nowhere_else() -> None:
    too_old = replace(GOOD, recycle_s=1351.0)
    assert CheckId.C4 not in checks(too_old)
    assert checks(too_old, timeouts=PROXY)[CheckId.C4].result is WARN
    assert checks(replace(GOOD, recycle_s=1350.0), timeouts=PROXY)[CheckId.C4].result is OK


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"timeout_s": 9.9}, WARN),
        ({"timeout_s": 10.0}, OK),
        ({"timeout_s": 30.0}, OK),
        ({"timeout_s": 30.1}, WARN),
        ({"checkouts_total": 1}, WARN),  # no caller gave a time-out, or one waited without
        ({"checkouts_total": 0}, UNKNOWN),
        ({"checkouts_total": 1, "idle_timeout_s": None}, UNKNOWN),  # from an older poolscope
    ],
)
def test_c3_of_asyncpg_is_what_its_callers_give(told: dict[str, Any], expected: Result) -> None:
    asyncpg = {"library": "asyncpg", "pool_class": "Pool", "timeout_s": None, "idle_timeout_s": 300}
    check = checks(replace(GOOD, **{**asyncpg, **told}))[CheckId.C3]
    assert (check.setting, check.result) == ("timeout", expected)
    if expected is not OK:
        assert check.cure is not None


@pytest.mark.parametrize(
    ("pre_ping", "ping_s", "expected", "value"),
    [
        (True, 0.00042, OK, "on, 0.4 ms per ping as measured"),
        (True, 0.0051, OK, "on, 5.1 ms per ping as measured"),
        (True, None, OK, "on"),
        (False, None, WARN, "off"),
        (None, None, UNKNOWN, None),
    ],
)
def test_c5_pre_ping_is_on_and_its_measured_time_is_told(
    pre_ping: bool | None, ping_s: float | None, expected: Result, value: str | None
) -> None:
    check = checks(replace(GOOD, pre_ping=pre_ping, ping_s=ping_s))[CheckId.C5]
    assert (check.result, check.value) == (expected, value)
    assert "less than 2 ms" in check.safe_range


@pytest.mark.parametrize(
    ("ping_s", "expected", "cure"),
    [
        (0.002, OK, None),
        (0.0021, OK, "note: each checkout waits 2.1 ms for its ping"),
        (0.0199, OK, "note: each checkout waits 19.9 ms for its ping"),
        (0.02, WARN, "each checkout waits 20.0 ms for its ping: look at the network between"),
    ],
)
def test_c5_slow_ping_is_a_note_and_a_very_slow_one_is_the_network(
    ping_s: float, expected: Result, cure: str | None
) -> None:
    check = checks(replace(GOOD, ping_s=ping_s))[CheckId.C5]
    assert check.result is expected
    assert (check.cure or "").startswith(cure or "")
    assert (check.cure is None) is (cure is None)


def test_c5_does_not_blame_a_network_for_a_server_on_this_machine() -> None:
    check = checks(replace(GOOD, ping_s=0.032), is_local=True)[CheckId.C5]
    assert check.result is OK
    assert check.cure == (
        "note: each checkout waits 32.0 ms for its ping: look at this machine's processors, or "
        "behind its proxy"
    )
    assert checks(replace(GOOD, pre_ping=False), is_local=True)[CheckId.C5].result is WARN


@pytest.mark.parametrize(
    ("connect_s", "pool_s", "opening_s", "expected", "cure"),
    [
        (None, 30.0, None, UNKNOWN, "connect_timeout is not known"),
        (0.0, 30.0, 0.01, WARN, "set connect_timeout: without it an unreachable server"),
        (29.9, 30.0, 0.01, OK, None),
        (30.0, 30.0, 0.01, WARN, "set connect_timeout below 30 s: otherwise callers give up"),
        (60.0, 30.0, 0.01, WARN, "set connect_timeout below 30 s: otherwise callers give up"),
        (60.0, None, 0.01, OK, None),
        (5.0, 30.0, None, OK, None),
        (5.0, 30.0, 2.49, OK, None),
        (5.0, 30.0, 2.5, WARN, "opening a connection takes up to 2.5 s (95 % of them), 50% of"),
        (5.0, 30.0, 4.0, WARN, "opening a connection takes up to 4 s (95 % of them), 80% of"),
    ],
)
def test_c14_connect_timeout_is_set_below_pool_timeout_and_above_what_opening_takes(
    connect_s: float | None,
    pool_s: float | None,
    opening_s: float | None,
    expected: Result,
    cure: str | None,
) -> None:
    numbers = replace(GOOD, connect_timeout_s=connect_s, timeout_s=pool_s, create_p95_s=opening_s)
    check = checks(numbers)[CheckId.C14]
    assert (check.result, check.setting) == (expected, "connect_timeout")
    assert (check.cure or "").startswith(cure or "")
    assert (check.cure is None) is (cure is None)


def test_c14_shows_the_setting_beside_what_was_measured() -> None:
    check = checks()[CheckId.C14]
    assert check.value == "5 s; 95 % of connections opened within 0.02 s"
    assert check.safe_range == "set, and below pool_timeout 30 s"
    unset = checks(replace(GOOD, connect_timeout_s=0.0, create_p95_s=None))[CheckId.C14]
    assert unset.value == "none"


def test_c14_of_a_pool_without_a_queue_is_set_or_not() -> None:
    null = replace(GOOD, pool_class="NullPool", timeout_s=30.0, connect_timeout_s=60.0)
    assert checks(null)[CheckId.C14].result is OK
    assert checks(null)[CheckId.C14].safe_range == "set"
    assert checks(replace(null, connect_timeout_s=0.0))[CheckId.C14].result is WARN


def test_c14_bears_the_name_that_asyncpg_gives_its_time_out() -> None:
    check = checks(replace(GOOD, library="asyncpg", connect_timeout_s=60.0))[CheckId.C14]
    assert check.setting == "timeout of create_pool()"
    assert check.cure is not None
    assert check.cure.startswith("set timeout of create_pool() below 30 s")


@pytest.mark.parametrize(
    ("potential", "unlimited", "expected"),
    [(79, 0, OK), (80, 0, OK), (81, 0, WARN), (80, 1, UNKNOWN), (81, 1, WARN)],
)
def test_c7_all_processes_leave_a_fifth_of_the_server_free(
    potential: int, unlimited: int, expected: Result
) -> None:
    check = checks(demand=Demand(SERVER, 6, potential, unlimited))[CheckId.C7]
    assert (check.result, check.value) == (expected, potential)
    assert check.safe_range == "at most 80: max_connections 100 less 20% in reserve"
    if expected is WARN:
        assert check.cure is not None
        assert check.cure.startswith("6 pools of main may open 81 connections: run fewer or")


@pytest.mark.parametrize(("more", "expected"), [(40, OK), (41, WARN)])
def test_c7_judges_the_fleet_at_its_largest(more: int, expected: Result) -> None:
    grown = (GrownService("shop", 12, more),)
    check = checks(demand=Demand(SERVER, 2, 40, grown=grown))[CheckId.C7]
    assert (check.result, check.value) == (expected, 40 + more)
    if expected is WARN:
        assert check.cure is not None
        assert check.cure.startswith(
            "2 pools of main may open 40 connections, and 41 more with 12 processes of shop: run"
        )


def test_c7_behind_a_bouncer_is_held_against_its_clients() -> None:
    check = checks(demand=Demand(BOUNCER, 60, 900))[CheckId.C7]
    assert (check.result, check.value) == (WARN, 900)
    assert check.safe_range == "at most 800: max_client_conn 1000 less 20% in reserve"


def test_c7_and_c8_without_a_known_limit_say_what_is_missing() -> None:
    silent = checks(demand=Demand(SharedLimit("main"), 1, 15))
    assert (silent[CheckId.C7].result, silent[CheckId.C8].result) == (UNKNOWN, UNKNOWN)
    assert silent[CheckId.C7].cure == "main has not reported how many connections it allows"
    assert "name it with --dsn" in (checks(demand=NOWHERE)[CheckId.C8].cure or "")


@pytest.mark.parametrize(("size", "expected"), [(99, OK), (100, WARN), (101, WARN)])
def test_c8_one_pool_is_never_as_large_as_the_server(size: int, expected: Result) -> None:
    assert result("C8", size=size) is expected


@pytest.mark.parametrize(
    ("library", "pool_class", "expected"),
    [
        ("sqlalchemy", "AsyncAdaptedQueuePool", OK),
        ("sqlalchemy", "QueuePool", OK),
        ("sqlalchemy", "NullPool", WARN),
        ("sqlalchemy", "StaticPool", WARN),
        ("sqlalchemy", "SingletonThreadPool", WARN),
        ("sqlalchemy", "OurOwnPool", UNKNOWN),
        ("asyncpg", "Pool", OK),
        ("psycopg_pool", "AsyncConnectionPool", OK),
        ("psycopg_pool", "NullConnectionPool", WARN),
        (None, None, UNKNOWN),
    ],
)
def test_c9_pool_has_a_queue(library: str | None, pool_class: str | None, expected: Result) -> None:
    assert result("C9", library=library, pool_class=pool_class) is expected


def test_c9_null_pool_before_a_bouncer_is_a_choice_and_no_fault() -> None:
    demand = Demand(BOUNCER, 1, 0, 1)
    assert result("C9", demand, pool_class="NullPool") is OK
    assert result("C9", demand, pool_class="StaticPool") is WARN


@pytest.mark.parametrize(("count", "expected"), [(0, OK), (1, WARN), (None, UNKNOWN)])
def test_c10_no_checkout_blocks_an_event_loop(count: int | None, expected: Result) -> None:
    assert result("C10", blocking_checkouts_total=count) is expected


def test_c15_is_checked_before_a_bouncer_and_nowhere_else() -> None:
    keeping = replace(GOOD, statement_settings=frozenset({StatementSetting.PREPARE_THRESHOLD}))
    assert CheckId.C15 not in checks(keeping)
    assert checks(keeping, pooling=UNTRACKED)[CheckId.C15].result is WARN


@pytest.mark.parametrize(("count", "expected"), [(1, OK), (10, OK), (11, WARN), (1000, WARN)])
def test_c16_a_line_makes_at_most_ten_pools_of_one_name(count: int, expected: Result) -> None:
    assert result("C16", made=PoolsMade("shop/db.py:14", count)) is expected


@pytest.mark.parametrize(
    ("library", "thing"), [("sqlalchemy", "engine"), ("asyncpg", "pool"), ("psycopg_pool", "pool")]
)
def test_c16_names_the_line_and_what_to_make_once(library: str, thing: str) -> None:
    made = PoolsMade("shop/db.py:14", 12)
    check = checks(replace(GOOD, library=library, made=made))[CheckId.C16]
    assert (check.setting, check.value) == ("pools made at shop/db.py:14", 12)
    assert check.cure == f"12 pools were made at shop/db.py:14: make the {thing} once"


@pytest.mark.parametrize(("most", "expected"), [(1, OK), (2, WARN)])
def test_c1_does_not_warn_of_one_connection_without_overflow(most: int, expected: Result) -> None:
    assert result("C1", size=1, max=most) is expected


@pytest.mark.parametrize(("count", "has_note"), [(10, False), (11, True), (1000, True)])
def test_c16_does_not_warn_of_pools_that_django_makes_for_celery(
    count: int, has_note: bool
) -> None:
    made = PoolsMade("django/db/backends/postgresql/base.py:210", count)
    check = checks(replace(GOOD, library="psycopg_pool", made=made))[CheckId.C16]
    assert check.result is OK
    assert ("CELERY_DB_REUSE_MAX" in (check.cure or "")) is has_note


def test_c16_is_no_matter_of_a_sender_that_counts_no_pools() -> None:
    assert result("C16", made=None) is None


def test_pool_that_keeps_nothing_is_spared_what_has_no_meaning_for_it() -> None:
    null = PoolNumbers(library="sqlalchemy", pool_class="NullPool", blocking_checkouts_total=0)
    assert set(checks(null, timeouts=PROXY)) == {
        CheckId.C7,
        CheckId.C9,
        CheckId.C10,
        CheckId.C11,
        CheckId.C14,
    }


@pytest.mark.parametrize("library", ["asyncpg", "psycopg_pool"])
def test_pools_with_one_maximum_are_judged_by_it(library: str) -> None:
    numbers = replace(GOOD, library=library, size=2, max_overflow=19, max=21, timeout_s=None)
    found = checks(numbers)
    assert (found[CheckId.C1].setting, found[CheckId.C1].value) == ("max_size", 21)
    assert found[CheckId.C1].result is WARN
    assert CheckId.C2 not in found
    assert (found[CheckId.C3].setting, found[CheckId.C3].result) == ("timeout", UNKNOWN)
    assert (CheckId.C5 in found) is (library == "psycopg_pool")


def test_asyncpg_is_told_where_its_time_out_belongs() -> None:
    numbers = PoolNumbers(library="asyncpg", pool_class="Pool", max=10)
    assert checks(numbers)[CheckId.C3].cure == (
        "asyncpg's pool has no time-out: pass 10 to 30 s to each acquire()"
    )


def test_users_thresholds_decide() -> None:
    other = changed(DEFAULTS, {"C1": {"most": 50}, "C7": {"value": 0}, "C4": {"value": 0.1}})
    found = checks(
        replace(GOOD, size=50, recycle_s=181.0), Demand(SERVER, 1, 100), PROXY, PoolChecks(other)
    )
    assert (found[CheckId.C1].result, found[CheckId.C1].safe_range) == (OK, "5 to 50")
    assert found[CheckId.C7].result is OK
    assert found[CheckId.C4].result is WARN


def test_demand_is_added_up_by_what_limits_it() -> None:
    numbers = [PoolNumbers(max=10), PoolNumbers(max=20), PoolNumbers(), PoolNumbers(max=7)]
    limits = [SERVER, SERVER, SERVER, BOUNCER]
    pools = [
        LimitedPool(a_pool(), each, limit) for each, limit in zip(numbers, limits, strict=True)
    ]
    assert demands(pools) == {SERVER: Demand(SERVER, 3, 30, 1), BOUNCER: Demand(BOUNCER, 1, 7)}
    assert demands([LimitedPool(a_pool(), PoolNumbers(max=5), SharedLimit())]) == {}


def test_pool_whose_sender_reports_no_setting_has_no_unanswered_checks() -> None:
    assert PoolChecks().check_pool(PoolNumbers(used=5, max=5, pending=2), (), NOWHERE) == ()
