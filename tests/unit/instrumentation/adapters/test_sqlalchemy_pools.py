"""What happens to a SQLAlchemy pool, and what we say of it, held against the pool itself."""

import asyncio
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, engine_from_config, event, pool, text
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import base

import poolscope
from poolscope import catalogue
from poolscope.adapters.sqlalchemy import hooks
from poolscope.adapters.sqlalchemy import install as adapter
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.recording.pool import NOTED_LIMIT, PoolStats
from support.applications.apps import Readings, instrumented
from support.applications.dbapi import Server, an_engine


@pytest.fixture
def readings() -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings


def truth(engine: Any) -> tuple[int, int]:
    """Return (used, idle) by the pool's own records."""
    records = list(engine.pool._pool.queue)
    return engine.pool.checkedout(), sum(r.dbapi_connection is not None for r in records)


def test_a_checkout_is_used_until_it_is_returned(readings: Readings) -> None:
    engine = an_engine()
    with engine.connect():
        assert (readings.used, readings.idle) == truth(engine) == (1, 0)
        assert readings.out == 1
    assert (readings.used, readings.idle) == truth(engine) == (0, 1)
    assert readings.out == 0
    assert readings.value(catalogue.WAIT_TIME) == readings.value(catalogue.USE_TIME) == 1
    assert readings.value(catalogue.CREATE_TIME) == readings.value(catalogue.OPENED) == 1


def test_an_exception_in_the_block_is_an_ordinary_return(readings: Readings) -> None:
    engine = an_engine()
    with pytest.raises(ZeroDivisionError), engine.connect():
        raise ZeroDivisionError
    assert (readings.used, readings.out) == (0, 0)


def test_a_pool_time_out_is_counted_and_its_wait_is_queue_time(readings: Readings) -> None:
    engine = an_engine()
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    assert readings.value(catalogue.TIMEOUTS) == 1
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="timeout") == 1
    assert readings.value(catalogue.QUEUE_TIME) == 1
    assert readings.value(catalogue.WAIT_TIME) == readings.value(catalogue.CHECKOUTS) == 3
    assert (readings.used, readings.idle) == truth(engine) == (3, 0)
    for connection in held:
        connection.close()


class UnprintableError(Exception):
    """An error of an application's creator, with a mistake of its own."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_that_cannot_print_itself_reaches_the_caller_and_counts(
    readings: Readings,
) -> None:
    def refuse() -> Any:
        raise UnprintableError

    refusing = pool.QueuePool(refuse)  # kept: of a pool that is collected nothing is reported
    with pytest.raises(UnprintableError):
        refusing.connect()
    assert readings.value(catalogue.CONNECT_ERRORS, kind="other") == 1
    assert readings.instrumentation.registry.hook_errors == 0


def test_a_forked_child_that_names_its_pool_first_pushes_although_it_opens_no_connection(
    readings: Readings,
) -> None:
    engine = an_engine()
    engine.connect().close()
    started: list[bool] = []
    for forget in readings.instrumentation.registry.on_fork:
        forget()
    readings.instrumentation.registry.on_activity = lambda: started.append(True)
    poolscope.name_pool(engine, "orders")
    engine.connect().close()
    assert started


OFF_THE_HOT_PATH = [
    "attach_engine", "attach_pool", "connect_failed", "on_close", "on_connect", "on_detach",
    "on_invalidate", "note_shared_error", "_note_waiter",
]  # fmt: skip


@pytest.mark.parametrize("hook", OFF_THE_HOT_PATH)
def test_an_error_in_a_hook_is_counted_and_never_reaches_the_application(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError(hook)

    monkeypatch.setattr(SqlalchemyHooks, hook, broken)
    with instrumented() as readings:
        engine = an_engine()
        engine.connect().invalidate()
        engine.connect().detach()
        engine.connect().close()
        session = Session(engine).begin()
        state: Any = SimpleNamespace(name="PROVISIONING_CONNECTION")  # SQLAlchemy 2.0.0 has none
        with pytest.raises(InvalidRequestError):
            session._raise_for_prerequisite_state("execute", state)
        engine.dispose()
        with pytest.raises(ZeroDivisionError):
            pool.QueuePool(lambda: 1 / 0).connect()  # type: ignore[arg-type]
        assert readings.instrumentation.registry.last_hook_error == f"LookupError: {hook}"


def test_an_error_that_we_counted_can_still_be_pickled(readings: Readings) -> None:
    """Task queues and process pools send exceptions to other processes."""
    engine = an_engine()
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError) as raised:
        engine.connect()
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    for connection in held:
        connection.close()


def test_a_waiting_caller_is_pending_and_then_is_not(readings: Readings) -> None:
    engine = an_engine(pool_timeout=10)
    held = [engine.connect() for _ in range(3)]
    waiting = threading.Thread(target=lambda: engine.connect().close())
    waiting.start()
    while readings.value(catalogue.PENDING_REQUESTS) == 0:
        pass
    assert readings.value(catalogue.PENDING_REQUESTS) == 1
    held.pop().close()
    waiting.join(60)
    assert readings.value(catalogue.PENDING_REQUESTS) == 0
    assert readings.value(catalogue.QUEUE_TIME) == 1
    for connection in held:
        connection.close()


def test_a_refused_connect_is_an_error_by_kind_and_takes_no_slot(readings: Readings) -> None:
    server = Server()
    engine = an_engine(server)
    server.refusing = True
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            engine.connect()
    assert readings.value(catalogue.CONNECT_ERRORS, kind="refused") == 5
    assert readings.value(catalogue.CHECKOUT_FAILURES, reason="error") == 5
    assert (readings.used, readings.idle, readings.out) == (0, 0, 0)
    server.refusing = False
    engine.connect().close()
    assert (readings.used, readings.idle) == truth(engine) == (0, 1)


def test_a_restarted_server_leaves_no_drift(readings: Readings) -> None:
    server = Server()
    engine = an_engine(server, pool_pre_ping=True)
    engine.connect().close()
    server.broken = server.refusing = True
    for _ in range(4):
        with pytest.raises((ConnectionRefusedError, DBAPIError)):
            engine.connect()
    server.broken = server.refusing = False
    with engine.connect():
        assert (readings.used, readings.idle) == truth(engine)
    assert (readings.used, readings.idle) == truth(engine) == (0, 1)
    assert readings.out == 0
    assert readings.value(catalogue.INVALIDATED, reason="ping") == 1


def test_a_connection_that_breaks_in_use_ends_its_checkout(readings: Readings) -> None:
    server = Server()
    engine = an_engine(server)
    with engine.connect() as connection:
        server.broken = True
        with pytest.raises(OperationalError):
            connection.execute(text("select 1"))
        assert readings.out == 0
        server.broken = False
    assert readings.value(catalogue.INVALIDATED, reason="error") == 1
    assert readings.value(catalogue.CLOSED, reason="invalidated") == 1
    assert (readings.used, readings.idle) == truth(engine) == (0, 0)


def test_a_detached_connection_is_no_longer_checked_out(readings: Readings) -> None:
    engine = an_engine()
    with engine.connect() as connection:
        connection.detach()
        assert (readings.used, readings.out) == (0, 0)
    assert readings.value(catalogue.CLOSED, reason="detached") == 1


def test_an_overflow_connection_is_closed_when_it_returns(readings: Readings) -> None:
    engine = an_engine()
    held = [engine.connect() for _ in range(3)]
    assert readings.value(catalogue.POOL_OVERFLOW) == 1
    for connection in held:
        connection.close()
    assert readings.value(catalogue.CLOSED, reason="overflow") == 1
    assert readings.value(catalogue.POOL_OVERFLOW) == 0
    assert (readings.used, readings.idle) == truth(engine) == (0, 2)


def test_an_expired_connection_is_recycled(readings: Readings) -> None:
    engine = an_engine(pool_recycle=0)  # a connection of any age has expired
    engine.connect().close()
    engine.connect().close()
    opened = readings.value(catalogue.OPENED)
    assert opened is not None
    assert readings.value(catalogue.CLOSED, reason="recycled") == opened - 1 > 0


def test_dispose_with_a_connection_out_leaves_one_pool_and_no_phantom(readings: Readings) -> None:
    engine = an_engine()
    outside = engine.connect()
    engine.connect().close()
    engine.dispose()
    with engine.connect():
        assert readings.used == 2
    outside.close()
    del outside
    gc.collect()
    assert (readings.used, readings.idle) == truth(engine) == (0, 1)
    assert len(readings.samples(catalogue.MAX)) == 1


def test_a_collected_synchronous_connection_is_a_leak_and_its_slot_recovers(
    readings: Readings,
) -> None:
    engine = an_engine()

    def leak() -> None:
        engine.connect().execute(text("select 1"))

    leak()
    gc.collect()
    readings.scan()
    leaks = [s for s in readings.samples(catalogue.LEAKS) if s.value]
    assert [s.attributes[catalogue.EVIDENCE] for s in leaks] == ["garbage_collected"]
    assert "test_sqlalchemy_pools.py:" in str(leaks[0].attributes[catalogue.CALL_SITE])
    assert (readings.used, readings.out) == (0, 0)
    assert readings.value(catalogue.LOST_PLACES) == 0


def test_a_null_pool_has_no_maximum_and_keeps_nothing(readings: Readings) -> None:
    engine = create_engine("sqlite://", poolclass=pool.NullPool)
    for _ in range(3):
        engine.connect().close()
    gc.collect()
    stats: PoolStats = readings.instrumentation.registry.pools[0].stats
    assert len(stats.slots) == 0
    assert readings.value(catalogue.MAX) is None
    assert readings.value(catalogue.CLOSED, reason="not_pooled") == 3
    assert (readings.used, readings.out) == (0, 0)


@pytest.mark.parametrize(
    ("options", "maximum", "idle_maximum"),
    [
        ({"pool_size": 5, "max_overflow": 10}, 15, 5),
        ({"pool_size": 5, "max_overflow": -1}, None, 5),
        ({"pool_size": 0}, None, None),
    ],
)
def test_a_limit_that_does_not_exist_is_absent(
    readings: Readings, options: dict[str, Any], maximum: int | None, idle_maximum: int | None
) -> None:
    engine = an_engine(**options)  # kept: the collector would take its numbers along
    engine.connect().close()
    assert readings.value(catalogue.MAX) == maximum
    assert readings.value(catalogue.IDLE_MAX) == idle_maximum


def test_the_configuration_is_told(readings: Readings) -> None:
    _engine = an_engine(pool_timeout=7, pool_recycle=1800, pool_pre_ping=True)
    assert readings.value(catalogue.POOL_TIMEOUT) == 7
    assert readings.value(catalogue.POOL_RECYCLE) == 1800
    assert readings.value(catalogue.POOL_PRE_PING) == 1
    assert readings.value(catalogue.POOL_SIZE) == 2
    assert readings.value(catalogue.POOL_MAX_OVERFLOW) == 1


def test_a_pool_that_never_recycles_has_no_recycle_time(readings: Readings) -> None:
    _engine = an_engine()
    assert readings.value(catalogue.POOL_RECYCLE) is None


def test_nested_checkouts_of_a_thread_local_pool_count_once(readings: Readings) -> None:
    connect: Any = Server().connect
    source = pool.SingletonThreadPool(connect)
    outer = source.connect()
    inner = source.connect()
    assert readings.value(catalogue.CHECKOUTS) == 1
    inner.close()
    outer.close()
    assert readings.out == 0


def test_what_nobody_reads_does_not_gather(readings: Readings) -> None:
    engine, times = an_engine(), NOTED_LIMIT + 1
    for _ in range(times):
        engine.connect().close()
    [(_, watched)] = readings.instrumentation.registry.named_pools()
    assert watched.stats.waits == []
    assert len(watched.stats.uses) == 1
    assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == times


def test_an_engine_made_before_is_watched_with_what_it_holds() -> None:
    engine = an_engine()
    idle, held = engine.connect(), engine.connect()
    idle.close()
    with instrumented() as readings:
        engine.connect().close()
        assert readings.value(catalogue.MAX) == 3
        held.close()
        assert (readings.used, readings.idle) == truth(engine) == (0, 2)


def test_an_engine_made_from_a_configuration_is_watched(readings: Readings) -> None:
    engine = engine_from_config({"sqlalchemy.url": "sqlite://"})
    engine.connect().close()
    assert readings.value(catalogue.CHECKOUTS) == 1
    engine.dispose()


def test_every_argument_of_an_engine_still_works(readings: Readings) -> None:
    """`create_engine()` reads what it takes from signatures that a wrapper would hide."""
    engine = create_engine(
        "sqlite://",
        echo=False,
        echo_pool=False,
        logging_name="orders",
        hide_parameters=True,
        query_cache_size=7,
        execution_options={"isolation_level": "SERIALIZABLE"},
        poolclass=pool.QueuePool,
        pool_pre_ping=True,
        pool_recycle=60,
        pool_reset_on_return=None,
        pool_use_lifo=True,
        pool_logging_name="orders-pool",
    )
    engine.connect().close()
    assert readings.value(catalogue.CHECKOUTS) == 1
    engine.dispose()


class OwnConnect(pool.QueuePool):
    """A pool that is handed out in its own way, around its parent's."""

    def connect(self) -> Any:
        return super().connect()


def own_connect_defined_later() -> type[pool.QueuePool]:
    class Later(OwnConnect):
        def connect(self) -> Any:
            return super().connect()

    return Later


@pytest.mark.parametrize("find_class", [lambda: OwnConnect, own_connect_defined_later])
def test_a_subclass_with_a_connect_of_its_own_counts_once(
    readings: Readings, find_class: Callable[[], type[pool.QueuePool]]
) -> None:
    engine = an_engine(poolclass=find_class())
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    for connection in held:
        connection.close()
    assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 3
    assert readings.value(catalogue.TIMEOUTS) == 1


class Standalone(pool.QueuePool):
    """A pool that hands out connections without its parent's `connect`."""

    def connect(self) -> Any:
        return pool.base._ConnectionFairy._checkout(self)


def test_a_subclass_that_never_asks_its_parent_is_seen(readings: Readings) -> None:
    engine = an_engine(poolclass=Standalone)
    with engine.connect():
        assert (readings.used, readings.out) == (1, 1)
    assert readings.value(catalogue.WAIT_TIME) == 1
    assert readings.out == 0


def test_two_pools_of_one_name_are_told_apart(readings: Readings) -> None:
    first, second = an_engine(), an_engine()
    first.connect().close()
    second.connect().close()
    names = {s.attributes[catalogue.POOL_NAME] for s in readings.samples(catalogue.CHECKOUTS)}
    assert names == {"sqlite", "sqlite-2"}


def test_a_name_holds_no_password(readings: Readings) -> None:
    engine = create_engine("postgresql+psycopg://u:hunter2@db.example:6543/orders?options=hunter2")
    [sample] = readings.samples(catalogue.MAX)
    assert sample.attributes == {
        catalogue.POOL_NAME: "orders",
        catalogue.DB_NAMESPACE: "orders",
        catalogue.SERVER_ADDRESS: "db.example",
        catalogue.SERVER_PORT: 6543,
    }
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("postgresql+psycopg://u@/orders?host=/cloudsql/p:r:i", "/cloudsql/p:r:i", 5432),
        ("postgresql+psycopg://u@/orders?host=one:1&host=two:2", "one", 1),
        ("postgresql+psycopg://u@/orders?host=one,two&port=1,2", "one", 1),
        ("postgresql+asyncpg://u@/orders?host=/run/pg&port=6432", "/run/pg", 6432),
        ("mysql+pymysql://u@/orders?unix_socket=/cloudsql/p:r:i", "/cloudsql/p:r:i", 3306),
    ],
)
def test_a_server_that_the_urls_query_names_is_the_address(
    readings: Readings, url: str, address: str, port: int
) -> None:
    engine = create_engine(url)
    [sample] = readings.samples(catalogue.POOL_INFO)
    assert sample.attributes[catalogue.SERVER_ADDRESS] == address
    assert sample.attributes[catalogue.SERVER_PORT] == port
    engine.dispose()


def test_the_name_that_a_user_gave_wins(readings: Readings) -> None:
    _engine = an_engine(pool_logging_name="orders-rw")
    [sample] = readings.samples(catalogue.MAX)
    assert sample.attributes[catalogue.POOL_NAME] == "orders-rw"


@pytest.mark.parametrize("target", [lambda engine: engine, lambda engine: engine.pool])
def test_a_name_may_be_given_later_and_stays_unique(
    readings: Readings, target: Callable[[Engine], object]
) -> None:
    first, second = an_engine(), an_engine()
    for engine in (first, second):
        poolscope.name_pool(target(engine), "orders-rw")
        engine.connect().close()
    names = [s.attributes[catalogue.POOL_NAME] for s in readings.samples(catalogue.CHECKOUTS)]
    assert names == ["orders-rw", "orders-rw-2"]


def test_what_is_no_pool_has_no_name(readings: Readings) -> None:
    with pytest.raises(ValueError, match="takes an engine or a pool"):
        poolscope.name_pool("postgresql://u:hunter2@db/orders", "orders")


def test_statements_dispatch_no_events_for_us(readings: Readings) -> None:
    """One listener of any event of an engine makes each statement of all engines slower."""
    engine = an_engine()
    engine.connect().close()
    engine.dispose()
    assert not engine._has_events
    assert readings.instrumentation.registry.last_hook_error is None


def test_a_pool_beyond_the_limit_works_and_is_not_watched() -> None:
    with instrumented(max_pools=1) as readings:
        engines = [an_engine(), an_engine()]
        for engine in engines:
            engine.connect().close()
        assert len(readings.samples(catalogue.MAX)) == 1
        assert readings.instrumentation.registry.pools_refused == 1


def test_a_pool_that_is_gone_makes_room_for_another() -> None:
    with instrumented(max_pools=1) as readings:
        an_engine().connect().close()
        gc.collect()
        second = an_engine(pool_size=5)
        second.connect().close()
        assert readings.value(catalogue.POOL_SIZE) == 5


async def test_a_synchronous_pool_on_a_running_loop_is_blocking(readings: Readings) -> None:
    engine = an_engine()
    engine.connect().close()
    await asyncio.to_thread(lambda: engine.connect().close())
    assert readings.value(catalogue.BLOCKING_CHECKOUTS) == 1


def test_our_own_failure_reaches_nobody_and_costs_no_slot(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = an_engine(max_overflow=0, pool_size=1)

    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    engine.connect().close()
    registry = readings.instrumentation.registry
    stats = registry.pools[0].stats
    monkeypatch.setattr(stats, "waits", None)
    for _ in range(3):
        engine.connect().close()
    assert registry.hook_errors >= 3
    monkeypatch.setattr(stats, "end", broken)
    engine.connect().close()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_without_a_private_name_public_events_still_tell_who_holds_what(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "missing_names", lambda: ["_ConnectionRecord.fairy_ref"])
    with instrumented() as readings:
        engine = an_engine()
        with engine.connect():
            assert (readings.used, readings.out) == (1, 1)
        assert readings.out == 0
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.USE_TIME) == 1
        assert readings.value(catalogue.WAIT_TIME) == 0  # unknown, so not counted
        assert readings.instrumentation.registry.hook_errors == 1


def test_without_the_private_way_back_the_public_event_still_tells_of_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pool.Pool.__dict__["_return_conn"]
    monkeypatch.setattr(
        adapter,
        "_measure_returns",
        lambda hooks: adapter._listen(pool.Pool, "checkin", hooks.on_checkin),
    )
    with instrumented() as readings:
        engine = an_engine()
        with engine.connect():
            assert (readings.used, readings.out) == (1, 1)
        assert (readings.used, readings.idle, readings.out) == (0, 1, 0)


def test_all_private_names_are_there_in_this_version() -> None:
    assert adapter.missing_names() == []


@pytest.mark.parametrize("private", ["_invoke_creator", "_pool", "_dialect"])
def test_a_private_attribute_that_is_missing_costs_its_signal_only(
    readings: Readings, private: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AttributeError(private)

    step = {"_invoke_creator": "_wrap_creator", "_pool": "_wrap_queue", "_dialect": "_stats_of"}
    monkeypatch.setattr(SqlalchemyHooks, step[private], broken)
    engine = an_engine()
    for _ in range(5):
        engine.connect().close()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    if private != "_dialect":
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 5
    assert readings.instrumentation.registry.hook_errors >= 1


def test_a_caller_in_a_liveness_check_is_pending_and_then_is_not(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    server, ping = Server(), DefaultDialect.do_ping

    def do_ping(self: Any, connection: Any) -> Any:
        seen.append(readings.value(catalogue.PENDING, phase="ping"))
        return ping(self, connection)

    monkeypatch.setattr(DefaultDialect, "do_ping", do_ping)
    engine = an_engine(server, pool_pre_ping=True)
    for _ in range(2):
        engine.connect().close()
    server.broken = True
    with pytest.raises(OperationalError):
        engine.connect().exec_driver_sql("select 1")
    assert seen == [1, 1]
    assert readings.value(catalogue.PENDING_REQUESTS) == 0


def test_an_error_in_noting_a_liveness_check_never_reaches_the_application(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: float) -> None:
        raise LookupError("ping")

    monkeypatch.setattr(hooks, "make_pinging_caller", lambda: broken)
    engine = an_engine(pool_pre_ping=True)
    for _ in range(2):
        engine.connect().close()
    assert readings.instrumentation.registry.last_hook_error == "LookupError: ping"


def test_a_caller_that_waits_while_it_holds_one_is_nested(readings: Readings) -> None:
    engine = an_engine()
    held = [engine.connect() for _ in range(3)]
    with pytest.raises(PoolTimeoutError):
        engine.connect()
    assert readings.value(catalogue.NESTED_CHECKOUTS) == 1

    def other_thread() -> None:
        with pytest.raises(PoolTimeoutError):
            engine.connect()

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    assert readings.value(catalogue.NESTED_CHECKOUTS) == 1
    for connection in held:
        connection.close()


def noting(called: list[str], name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what somebody else may put in the place of a method."""

    def around(*arguments: Any) -> Any:
        called.append(name)
        return original(*arguments)

    return around


def test_what_somebody_put_around_a_pool_before_us_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    for name in ("connect", "_return_conn"):
        monkeypatch.setattr(pool.Pool, name, noting(called, name, getattr(pool.Pool, name)))
    with instrumented() as readings:
        an_engine().connect().close()
        assert called == ["connect", "_return_conn"]
        assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 1


def test_what_somebody_puts_into_a_pool_after_us_is_called(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    for owner, name in ((base._ConnectionFairy, "_checkout"), (pool.QueuePool, "_do_return_conn")):
        monkeypatch.setattr(owner, name, noting(called, name, getattr(owner, name)))
    an_engine().connect().close()
    assert called == ["_checkout", "_do_return_conn"]
    assert readings.value(catalogue.CHECKOUTS) == readings.value(catalogue.CHECKINS) == 1


def test_uninstrument_leaves_no_trace() -> None:
    before = pool.Pool.connect, pool.SingletonThreadPool.connect, pool.Pool._return_conn
    with instrumented():
        engine = an_engine(pool_pre_ping=True)
        engine.connect().close()
        assert "do_ping" in vars(engine.dialect)
    now = pool.Pool.connect, pool.SingletonThreadPool.connect, pool.Pool._return_conn
    assert now == before
    assert not [name for name in vars(engine.pool) if "poolscope" in name]
    assert "do_ping" not in vars(engine.dialect)
    assert "get" not in vars(engine.pool._pool)  # type: ignore[attr-defined]
    assert not event.contains(pool.Pool, "checkin", lambda: None)
    with engine.connect() as connection:
        record = connection.connection._connection_record
        assert record is not None
        assert "_poolscope" not in vars(record)


def test_instrumenting_twice_is_once() -> None:
    with instrumented() as first, instrumented() as second:
        assert first.instrumentation is second.instrumentation
        an_engine().connect().close()
        assert second.value(catalogue.CHECKOUTS) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"pool_timeout": None},
        {"pool_timeout": 0},
        {"pool_recycle": -1},
        {"pool_size": 0},
        {"max_overflow": -1},
        {"pool_size": 0, "max_overflow": -1, "pool_timeout": None},
    ],
    ids=str,
)
def test_every_option_of_an_engine_can_be_read(options: dict[str, Any], readings: Readings) -> None:
    """`pool_timeout=None` cost all settings of the pool."""
    engine = an_engine(**options)
    engine.connect().close()
    assert readings.value(catalogue.HOOK_ERRORS) == 0
    assert readings.value(catalogue.POOL_INFO) == 1
    timeout_s = options.get("pool_timeout", readings.value(catalogue.POOL_TIMEOUT))
    assert readings.value(catalogue.POOL_TIMEOUT) == timeout_s


def test_dialect_without_a_driver_name_can_be_read(
    readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine("sqlite://", poolclass=pool.QueuePool)
    monkeypatch.delattr(type(engine.dialect), "driver")
    assert not hasattr(engine.dialect, "driver")
    engine.connect().close()
    assert readings.value(catalogue.HOOK_ERRORS) == 0
    assert readings.value(catalogue.POOL_INFO) == 1
    engine.dispose()
