"""Synchronous SQLAlchemy engines over psycopg, whatever their pool."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import Pool, QueuePool

from conformance.column import Options, Truth
from conformance.pools.orm_sessions import SessionUnderTest

FOREVER_S = 3600


class EngineUnderTest:
    """Limits and recycling are set where the pool class has them."""

    timed_out: type[BaseException] = PoolTimeoutError
    errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError)

    def __init__(self, pool_class: type[Pool]) -> None:
        self._pool_class = pool_class

    async def open(self, dsn: str, options: Options) -> None:
        self._engine = create_engine(
            dsn.replace("postgresql://", "postgresql+psycopg://"),
            poolclass=self._pool_class,
            **engine_options(self._pool_class, options),
        )

    async def close(self) -> None:
        self._engine.dispose()

    def truth(self) -> Truth | None:
        return truth_of(self._engine.pool)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    async def take(self, timeout_s: float) -> Connection:
        set_timeout(self._engine.pool, timeout_s)
        return self._engine.connect()

    async def use(self, handle: Connection, statement: str) -> None:
        handle.execute(text(statement))

    async def give_back(self, handle: Connection) -> None:
        handle.close()

    async def invalidate(self, handle: Connection) -> None:
        handle.invalidate()

    async def invalidate_softly(self, handle: Connection) -> None:
        handle.connection.invalidate(soft=True)

    async def detach(self, handle: Connection) -> None:
        handle.detach()

    async def dispose(self) -> None:
        self._engine.dispose()

    async def after_fork(self) -> None:
        self._engine.dispose(close=False)

    def session(self, *, by_thread: bool = False) -> SessionUnderTest:
        return SessionUnderTest(self._engine, by_thread=by_thread)


def engine_options(pool_class: type[Pool], options: Options) -> dict[str, Any]:
    common: dict[str, Any] = {"pool_pre_ping": options.pre_ping}
    if options.recycle_s is not None:
        common["pool_recycle"] = options.recycle_s
    if issubclass(pool_class, QueuePool):
        common |= {"pool_size": options.keep, "max_overflow": options.overflow}
    return common


def set_timeout(pool: Any, timeout_s: float) -> None:
    """Have the next caller give up after so long; the pool has one time-out for all."""
    pool._timeout = timeout_s


def truth_of(pool: Any) -> Truth | None:
    """Read a queue's own state; others keep none.

    Records wait in the queue without a connection too, after an invalidation. What a pool that
    was disposed of still has out is not its concern any more, so it keeps no truth either.
    """
    gc.collect()  # a pool that was disposed of closes what comes back only when collected
    if not isinstance(pool, QueuePool):
        return None
    waiting: Any = pool._pool
    inner = waiting.queue if hasattr(waiting, "queue") else waiting._queue._queue
    return Truth(pool.checkedout(), sum(record.dbapi_connection is not None for record in inner))
