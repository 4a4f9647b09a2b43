"""C15: what each driver keeps, in each mode, by what the PgBouncer tracks; unknown is never ok."""

from dataclasses import replace
from itertools import product

import pytest

from poolscope.catalogue import StatementSetting
from poolscope_exporter.core.checks.model import ConfigCheck, Result
from poolscope_exporter.core.checks.statement_tracking import check_statements
from poolscope_exporter.core.model.pgbouncers import Pooling, PoolMode

OK, WARN, UNKNOWN = Result.OK, Result.WARN, Result.UNKNOWN
SESSION, TRANSACTION, STATEMENT = PoolMode

Settings = frozenset[StatementSetting]

NONE: Settings = frozenset()
ASYNCPG = frozenset({StatementSetting.STATEMENT_CACHE_SIZE})
NAMED = frozenset({StatementSetting.PREPARED_STATEMENT_CACHE_SIZE})
BOTH = ASYNCPG | NAMED
PSYCOPG = frozenset({StatementSetting.PREPARE_THRESHOLD})
OLD_LIBPQ = PSYCOPG | {StatementSetting.PREPARED_MAX}
ONE = "give all of them one mode"
KEEPING = [ASYNCPG, NAMED, BOTH, PSYCOPG, OLD_LIBPQ]
DRIVERS = [None, NONE, *KEEPING]


def a_pooling(
    *modes: PoolMode, tracked: int | None = 0, version: tuple[int, int] | None = (1, 25)
) -> Pooling:
    return Pooling("bouncer:6432", frozenset(modes), tracked, version)


def result(settings: Settings | None, pooling: Pooling) -> Result:
    check = check_statements(settings, pooling)
    assert (check.cure is None) is (check.result is OK)
    return check.result


@pytest.mark.parametrize(("mode", "settings"), [*product([TRANSACTION, STATEMENT], KEEPING)])
def test_what_is_kept_where_nothing_tracks_it_warns(mode: PoolMode, settings: Settings) -> None:
    assert result(settings, a_pooling(mode)) is WARN
    assert result(settings, a_pooling(TRANSACTION, STATEMENT)) is WARN


@pytest.mark.parametrize("settings", DRIVERS)
@pytest.mark.parametrize("tracked", [0, 100, None])
def test_a_session_of_its_own_keeps_what_it_likes(
    settings: Settings | None, tracked: int | None
) -> None:
    assert result(settings, a_pooling(SESSION, tracked=tracked)) is OK


@pytest.mark.parametrize("modes", [(), (TRANSACTION,), (STATEMENT,), (SESSION, TRANSACTION)])
@pytest.mark.parametrize("tracked", [0, 100, None])
def test_a_driver_that_keeps_nothing_is_safe_everywhere(
    modes: tuple[PoolMode, ...], tracked: int | None
) -> None:
    assert result(NONE, a_pooling(*modes, tracked=tracked)) is OK


@pytest.mark.parametrize(("tracked", "expected"), [(0, WARN), (1, OK), (200, OK)])
@pytest.mark.parametrize("settings", [ASYNCPG, NAMED, BOTH, PSYCOPG])
def test_the_bouncer_tracks_from_1_on(settings: Settings, tracked: int, expected: Result) -> None:
    assert result(settings, a_pooling(TRANSACTION, tracked=tracked)) is expected


@pytest.mark.parametrize(
    ("settings", "version", "expected"),
    [
        (ASYNCPG, (1, 21), OK),
        (PSYCOPG, (1, 21), WARN),  # it does not know DEALLOCATE ALL
        (PSYCOPG, (1, 22), OK),
        (PSYCOPG, (1, 23), OK),
        (PSYCOPG, None, WARN),
        (OLD_LIBPQ, (1, 22), WARN),  # nor any version DEALLOCATE with a name
    ],
)
def test_psycopg_needs_a_later_bouncer_and_a_libpq_that_closes_statements(
    settings: Settings, version: tuple[int, int] | None, expected: Result
) -> None:
    assert result(settings, a_pooling(TRANSACTION, tracked=100, version=version)) is expected


@pytest.mark.parametrize("settings", KEEPING)
@pytest.mark.parametrize(
    ("pooling", "missing"),
    [
        (a_pooling(), "does not report its pool_mode: run poolscope-exporter check"),
        (Pooling("bouncer:6432"), "does not report its pool_mode: run poolscope-exporter check"),
        (
            a_pooling(SESSION, TRANSACTION),
            f"has users of this database in pool_mode {SESSION} and {TRANSACTION}: {ONE}",
        ),
        (
            a_pooling(TRANSACTION, tracked=None),
            "does not report max_prepared_statements: look into its configuration",
        ),
    ],
)
def test_what_the_bouncer_does_not_report_is_unknown_with_its_cure(
    settings: Settings, pooling: Pooling, missing: str
) -> None:
    check = check_statements(settings, pooling)
    assert (check.result, check.cure) == (UNKNOWN, f"PgBouncer bouncer:6432 {missing}")


@pytest.mark.parametrize("tracked", [0, 100, None])
def test_a_driver_that_is_not_known_is_unknown(tracked: int | None) -> None:
    check = check_statements(None, a_pooling(TRANSACTION, tracked=tracked))
    assert (check.result, check.value) == (UNKNOWN, None)
    assert (
        check.cure == "the application does not report whether its driver keeps prepared statements"
    )


@pytest.mark.parametrize("settings", [ASYNCPG, NAMED, BOTH, PSYCOPG])
def test_what_is_tracked_is_safe_in_a_mode_that_is_not_known(settings: Settings) -> None:
    assert result(settings, a_pooling(tracked=100)) is OK
    assert result(settings, a_pooling(SESSION, TRANSACTION, tracked=100)) is OK


LATER = "run PgBouncer 1.{} or later"
ABOVE_0 = "set max_prepared_statements above 0 there"
LIBPQ = "give psycopg a libpq 17 or later, or set prepared_max=None"


@pytest.mark.parametrize(
    ("settings", "tracked", "version", "cure"),
    [
        (ASYNCPG, 0, (1, 25), f"set statement_cache_size=0, or {ABOVE_0}"),
        (ASYNCPG, 0, (1, 18), f"set statement_cache_size=0, or {LATER.format(21)} and {ABOVE_0}"),
        (NAMED, 0, (1, 21), f"set prepared_statement_cache_size=0, or {ABOVE_0}"),
        (
            BOTH, 0, (1, 21),
            f"set statement_cache_size=0 and prepared_statement_cache_size=0, or {ABOVE_0}",
        ),
        (PSYCOPG, 0, (1, 22), f"set prepare_threshold=None, or {ABOVE_0}"),
        (PSYCOPG, 0, (1, 21), f"set prepare_threshold=None, or {LATER.format(22)} and {ABOVE_0}"),
        (PSYCOPG, 100, (1, 21), f"set prepare_threshold=None, or {LATER.format(22)}"),
        (OLD_LIBPQ, 100, (1, 22), f"set prepare_threshold=None, or {LIBPQ}"),
        (OLD_LIBPQ, 0, (1, 22), f"set prepare_threshold=None, or {ABOVE_0} and {LIBPQ}"),
    ],
)  # fmt: skip
def test_the_cure_names_each_setting_by_the_drivers_own_words(
    settings: Settings, tracked: int, version: tuple[int, int], cure: str
) -> None:
    pooling = a_pooling(TRANSACTION, tracked=tracked, version=version)
    assert check_statements(settings, pooling).cure == cure


def test_the_finding_says_who_keeps_and_how_the_bouncer_pools() -> None:
    check = check_statements(BOTH, a_pooling(TRANSACTION))
    assert check == ConfigCheck(
        check.check_id,
        WARN,
        "prepared statements",
        "kept by statement_cache_size, prepared_statement_cache_size",
        "none kept, or tracked by PgBouncer bouncer:6432 "
        "(pool_mode transaction, max_prepared_statements 0)",
        check.cure,
    )
    unknown = check_statements(NONE, replace(a_pooling(), max_prepared_statements=None))
    assert unknown.value == "none kept"
    assert unknown.safe_range.endswith("(pool_mode unknown, max_prepared_statements unknown)")
