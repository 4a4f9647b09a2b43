"""What each driver says of the prepared statements that it keeps; what is not known stays so."""

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

from poolscope import catalogue
from poolscope.catalogue import StatementSetting
from poolscope.pushing.samples import pool_samples
from poolscope.recording.drivers import read_statement_settings
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, PoolStats

CACHE, ADAPTED, THRESHOLD, MOST = StatementSetting

names_statements = pytest.mark.skipif(
    not hasattr(AsyncAdapt_asyncpg_connection, "_prepared_statement_name_func"),
    reason="this version of SQLAlchemy cannot name prepared statements",
)


def a_connection(package: str, **attributes: Any) -> Any:
    """Return a connection of a class that the package, as it seems, defines."""
    return type("Connection", (), {"__module__": f"{package}.connection", **attributes})()


def an_asyncpg(*, keeps: bool) -> Any:
    return a_connection("asyncpg", _stmt_cache_enabled=keeps)


def a_psycopg(threshold: int | None, most: int | None = 100) -> Any:
    return a_connection("psycopg", prepare_threshold=threshold, prepared_max=most)


def adapted(*, keeps: bool, **arguments: Any) -> Any:
    """Return a connection as SQLAlchemy's dialect for asyncpg wraps it."""
    adapter: Any = AsyncAdapt_asyncpg_connection
    return adapter(SimpleNamespace(Error=Exception), an_asyncpg(keeps=keeps), **arguments)


@pytest.fixture
def libpq_closes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    is_able: bool = request.param
    monkeypatch.setattr(psycopg.capabilities, "has_send_close_prepared", lambda: is_able)
    return is_able


@pytest.mark.parametrize("keeps", [True, False])
def test_asyncpg_keeps_statements_where_its_cache_is_on(keeps: bool) -> None:
    assert read_statement_settings(an_asyncpg(keeps=keeps)) == {CACHE: keeps}


@pytest.mark.parametrize("libpq_closes", [True], indirect=True)
@pytest.mark.parametrize(("threshold", "keeps"), [(None, False), (0, True), (5, True)])
def test_psycopg_keeps_statements_unless_its_threshold_is_none(
    libpq_closes: bool, threshold: int | None, keeps: bool
) -> None:
    assert libpq_closes
    assert read_statement_settings(a_psycopg(threshold)) == {THRESHOLD: keeps}


@pytest.mark.parametrize("libpq_closes", [True, False], indirect=True)
@pytest.mark.parametrize("most", [100, None])
def test_an_older_libpq_drops_statements_by_a_command_where_there_is_a_most(
    libpq_closes: bool, most: int | None
) -> None:
    by_command = {MOST: True} if most is not None and not libpq_closes else {}
    assert read_statement_settings(a_psycopg(5, most)) == {THRESHOLD: True, **by_command}


def test_psycopg2_has_no_setting_that_keeps_statements() -> None:
    assert read_statement_settings(a_connection("psycopg2")) == {}


@pytest.mark.parametrize(
    ("keeps", "arguments", "expected"),
    [
        (True, {}, {CACHE: True, ADAPTED: True}),
        (True, {"prepared_statement_cache_size": 0}, {CACHE: True, ADAPTED: False}),
        # Without asyncpg's cache its statements have no name: each use prepares them anew.
        (False, {}, {CACHE: False, ADAPTED: False}),
        (False, {"prepared_statement_cache_size": 0}, {CACHE: False, ADAPTED: False}),
        # Names of the application's outlive the transaction, where the dialect keeps them.
        pytest.param(
            False,
            {"prepared_statement_name_func": str},
            {CACHE: False, ADAPTED: True},
            marks=names_statements,
        ),
        pytest.param(
            False,
            {"prepared_statement_name_func": str, "prepared_statement_cache_size": 0},
            {CACHE: False, ADAPTED: False},
            marks=names_statements,
        ),
    ],
)
def test_sqlalchemys_dialect_keeps_what_has_a_name(
    keeps: bool, arguments: dict[str, Any], expected: dict[StatementSetting, bool]
) -> None:
    assert read_statement_settings(adapted(keeps=keeps, **arguments)) == expected


def test_what_sqlalchemy_wraps_otherwise_is_what_its_driver_says() -> None:
    wrapped = a_connection("sqlalchemy", driver_connection=a_psycopg(None))
    assert read_statement_settings(wrapped) == {THRESHOLD: False}


@pytest.mark.parametrize(
    "connection",
    [
        object(),
        a_connection("asyncpg"),  # a later version, without the private name
        a_connection("sqlalchemy", driver_connection=object()),
        a_connection("sqlalchemy"),
    ],
)
def test_an_unknown_driver_or_name_is_unknown_and_no_error(connection: Any) -> None:
    assert read_statement_settings(connection) is None


class Reader:
    """A pool with one open connection, or none."""

    def __init__(self, connection: Any = None) -> None:
        self.connection = connection

    def state(self, _: Any) -> PoolState:
        return PoolState(0, 0)

    def configuration(self) -> PoolConfiguration:
        return PoolConfiguration("QueuePool", "sqlalchemy")

    def open_connection(self, _: Any) -> Any:
        return self.connection

    def is_closed(self) -> bool:
        return False


def pushed(stats: PoolStats) -> dict[Any, Any]:
    samples = pool_samples(stats.identity, stats, LeakDetector(), 0.0)
    return {
        sample.attributes.get(catalogue.SETTING): sample.value
        for sample in samples
        if sample.metric is catalogue.POOL_PREPARED_STATEMENTS
    }


def test_each_setting_is_one_point_and_none_is_one_too() -> None:
    assert pushed(PoolStats(PoolIdentity("a"), Reader(an_asyncpg(keeps=True)))) == {
        "statement_cache_size": 1
    }
    assert pushed(PoolStats(PoolIdentity("a"), Reader(a_psycopg(None)))) == {"prepare_threshold": 0}
    assert pushed(PoolStats(PoolIdentity("a"), Reader(a_connection("psycopg2")))) == {None: 0}
    assert pushed(PoolStats(PoolIdentity("a"), Reader(object()))) == {}


def test_what_was_read_last_holds_while_no_connection_is_open() -> None:
    reader = Reader()
    stats = PoolStats(PoolIdentity("a"), reader)
    assert pushed(stats) == {}
    stats.note_statement_settings(a_psycopg(5, None))
    assert pushed(stats) == {"prepare_threshold": 1}
    reader.connection = a_psycopg(None)
    assert pushed(stats) == {"prepare_threshold": 0}
    reader.connection = None
    assert pushed(stats) == {"prepare_threshold": 0}
