"""Attributes that cannot be loaded, on a real PostgreSQL: each error counts at its line."""

import gc
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Integer, create_engine, select
from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, relationship
from sqlalchemy.orm.exc import DetachedInstanceError

import poolscope
from poolscope import catalogue
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.applications.apps import Readings, instrumented

SOURCE = Path(__file__).read_text().splitlines()
pytestmark = [
    # SQLAlchemy leaves behind the coroutine that it could not await.
    pytest.mark.filterwarnings("ignore:.*never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ERRORS = (MissingGreenlet, DetachedInstanceError)
DRIVERS = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])

Read = Callable[[Any], Any]


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders_of_session_errors"
    id = Column(Integer, primary_key=True)
    amount = Column(Integer)
    lines = relationship("Line")


class Line(Base):
    __tablename__ = "lines_of_session_errors"
    id = Column(Integer, primary_key=True)
    order_id = Column(Integer, ForeignKey(Order.id))


def amount_of(order: Any) -> Any:
    return order.amount  # the expired attribute


def lines_of(order: Any) -> Any:
    return order.lines  # the lazy relationship


def line_of(mark: str) -> str:
    number = next(n for n, text in enumerate(SOURCE, 1) if f"# {mark}" in text)
    return f"integration/instrumentation/adapters/{Path(__file__).name}:{number}"


READS = pytest.mark.parametrize(
    ("read", "mark"), [(amount_of, "the expired attribute"), (lines_of, "the lazy relationship")]
)


@pytest.fixture(scope="module", autouse=True)
def tables(postgres: EmbeddedPostgres) -> None:
    engine = create_engine(url(postgres, "psycopg"))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Order(id=1, amount=7))
        session.commit()
    engine.dispose()


@pytest.fixture
def readings(tables: None) -> Iterator[Readings]:
    with instrumented() as readings:
        yield readings
    gc.collect()  # the coroutines that nobody awaited: their warnings belong to these tests


def url(server: EmbeddedPostgres, driver: str) -> str:
    return server.dsn.replace("postgresql://", f"postgresql+{driver}://")


def errors(readings: Readings) -> list[tuple[str, str | None, str | None, float]]:
    """Return kind, line's end, pool and number of each error that was counted."""
    return [
        (
            str(sample.attributes[catalogue.KIND]),
            str(sample.attributes.get(catalogue.CALL_SITE)),
            sample.attributes.get(catalogue.POOL_NAME),  # type: ignore[misc]
            sample.value,
        )
        for sample in readings.samples(catalogue.SESSION_ERRORS)
        if sample.value
    ]


async def read_after_commit(engine: AsyncEngine, read: Read, times: int = 1) -> None:
    """Commit as a route may do, which expires the object, and read it then without `await`."""
    async with AsyncSession(engine) as session:
        order = (await session.execute(select(Order))).scalars().one()
        await session.commit()
        for _ in range(times):
            with pytest.raises((MissingGreenlet, StatementError)):  # the latter is its wrapping
                read(order)


@DRIVERS
@READS
async def test_load_without_await_counts_at_its_line(
    readings: Readings, postgres: EmbeddedPostgres, driver: str, read: Read, mark: str
) -> None:
    engine = create_async_engine(url(postgres, driver))
    poolscope.name_pool(engine, "shop")
    await read_after_commit(engine, read, times=2)
    [(kind, line, pool, count)] = errors(readings)
    assert (kind, pool, count) == ("missing_greenlet", "shop", 2)
    assert line_of(mark).endswith(str(line))
    await engine.dispose()


async def test_load_without_await_counts_for_the_pool_of_its_session(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    engines = [create_async_engine(url(postgres, "asyncpg")) for _ in range(2)]
    for engine, name in zip(engines, ("reads", "writes"), strict=True):
        poolscope.name_pool(engine, name)
        async with engine.connect():
            pass
    await read_after_commit(engines[1], amount_of)
    assert [(kind, pool) for kind, _, pool, _ in errors(readings)] == [
        ("missing_greenlet", "writes")
    ]
    for engine in engines:
        await engine.dispose()


async def test_load_that_has_to_open_a_connection_first_counts_too(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    engine = create_async_engine(url(postgres, "psycopg"))
    poolscope.name_pool(engine, "shop")
    session = AsyncSession(engine)
    with pytest.raises(MissingGreenlet):
        session.sync_session.get(Order, 1)
    assert [(kind, pool) for kind, _, pool, _ in errors(readings)] == [("missing_greenlet", "shop")]
    await engine.dispose()


@DRIVERS
@READS
async def test_load_after_an_asynchronous_session_has_closed_counts_at_its_line(
    readings: Readings, postgres: EmbeddedPostgres, driver: str, read: Read, mark: str
) -> None:
    engine = create_async_engine(url(postgres, driver))
    poolscope.name_pool(engine, "shop")
    async with AsyncSession(engine) as session:
        order = (await session.execute(select(Order))).scalars().one()
        await session.commit()
    with pytest.raises(DetachedInstanceError):
        read(order)
    [(kind, line, pool, count)] = errors(readings)
    assert (kind, pool, count) == ("detached", "shop", 1)
    assert line_of(mark).endswith(str(line))
    await engine.dispose()


def detached_order(engine: Any) -> Any:
    with Session(engine) as session:
        order = session.execute(select(Order)).scalars().one()
        session.commit()
    return order


@READS
def test_load_after_a_synchronous_session_has_closed_counts_at_its_line(
    readings: Readings, postgres: EmbeddedPostgres, read: Read, mark: str
) -> None:
    engine = create_engine(url(postgres, "psycopg"))
    order = detached_order(engine)
    with pytest.raises(DetachedInstanceError):
        read(order)
    [(kind, line, _, count)] = errors(readings)
    assert (kind, count) == ("detached", 1)
    assert line_of(mark).endswith(str(line))
    engine.dispose()


def test_pool_of_a_closed_session_is_unknown_where_there_are_several(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    engines = [create_engine(url(postgres, "psycopg")) for _ in range(2)]
    orders = [detached_order(engine) for engine in engines]
    with pytest.raises(DetachedInstanceError):
        amount_of(orders[0])
    [(kind, _, pool, _)] = errors(readings)
    assert (kind, pool) == ("detached", None)
    for engine in engines:
        engine.dispose()


def test_objects_that_keep_their_values_raise_and_count_nothing(
    readings: Readings, postgres: EmbeddedPostgres
) -> None:
    engine = create_engine(url(postgres, "psycopg"))
    with Session(engine, expire_on_commit=False) as session:
        order = session.execute(select(Order)).scalars().one()
        session.commit()
    assert amount_of(order) == 7
    assert errors(readings) == []
    counted = {
        str(s.attributes[catalogue.KIND]) for s in readings.samples(catalogue.SESSION_ERRORS)
    }
    assert counted == {"missing_greenlet", "detached"}  # 0, so that the first one shows as growth
    engine.dispose()


@pytest.mark.parametrize("error", ERRORS)
def test_error_that_sqlalchemy_has_not_made_is_not_counted(
    readings: Readings, error: type[Exception]
) -> None:
    assert str(pickle.loads(pickle.dumps(error("as a task queue sends it"))))
    assert errors(readings) == []


def test_error_of_ours_leaves_the_application_with_its_own(
    readings: Readings, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise LookupError("ours")

    engine = create_engine(url(postgres, "psycopg"))
    order = detached_order(engine)
    monkeypatch.setattr(SqlalchemyHooks, "note_session_error", broken)
    with pytest.raises(DetachedInstanceError):
        amount_of(order)
    assert readings.instrumentation.registry.last_hook_error == "LookupError: ours"
    engine.dispose()


def test_uninstrument_leaves_the_errors_as_they_were() -> None:
    before = [vars(error).get("__init__") for error in ERRORS]
    with instrumented():
        assert [vars(error).get("__init__") for error in ERRORS] != before
    assert [vars(error).get("__init__") for error in ERRORS] == before
