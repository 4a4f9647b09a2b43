"""The column of a SQLAlchemy pool that is used without an engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from conformance.column import Column, Options, Truth
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS
from conformance.pools.sqlalchemy_sync import set_timeout, truth_of


class BarePoolUnderTest:
    timed_out: type[BaseException] = PoolTimeoutError
    errors: tuple[type[Exception], ...] = (psycopg.Error, PoolTimeoutError)

    async def open(self, dsn: str, options: Options) -> None:
        recycle: dict[str, Any] = {"recycle": options.recycle_s} if options.recycle_s else {}
        self._pool = QueuePool(
            lambda: psycopg.connect(dsn),  # type: ignore[arg-type]
            pool_size=options.keep,
            max_overflow=options.overflow,
            **recycle,
        )

    async def close(self) -> None:
        self._pool.dispose()

    def truth(self) -> Truth | None:
        return truth_of(self._pool)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[PoolProxiedConnection]:
        connection = self._pool.connect()
        try:
            yield connection
        finally:
            connection.close()

    async def take(self, timeout_s: float) -> PoolProxiedConnection:
        set_timeout(self._pool, timeout_s)
        return self._pool.connect()

    async def use(self, handle: PoolProxiedConnection, statement: str) -> None:
        handle.cursor().execute(statement)

    async def give_back(self, handle: PoolProxiedConnection) -> None:
        handle.close()

    async def invalidate(self, handle: PoolProxiedConnection) -> None:
        handle.invalidate()

    async def invalidate_softly(self, handle: PoolProxiedConnection) -> None:
        handle.invalidate(soft=True)

    async def detach(self, handle: PoolProxiedConnection) -> None:
        handle.detach()

    async def dispose(self) -> None:
        raise NotImplementedError

    async def after_fork(self) -> None:
        """Let go of the parent's connections without closing them."""
        for record in list(self._pool._pool.queue):  # type: ignore[attr-defined]
            record.dbapi_connection = None


COLUMN = Column(
    "bare_pool",
    "SQLAlchemy pool without an engine",
    BarePoolUnderTest,
    is_async=False,
    lacks=FOR_TASKS
    | FOR_SPECIAL_POOLS
    | {
        "killed_idle_pre_ping": "pre-ping needs an engine",
        "dispose": "only an engine replaces its pool",
    },
)
