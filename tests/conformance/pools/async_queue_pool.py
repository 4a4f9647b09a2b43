"""The column of SQLAlchemy's AsyncAdaptedQueuePool, over asyncpg."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from conformance.column import Column, Options, Truth
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_THREADS
from conformance.pools.orm_sessions import AsyncSessionUnderTest
from conformance.pools.sqlalchemy_sync import engine_options, set_timeout, truth_of


class AsyncEngineUnderTest:
    timed_out: type[BaseException] = PoolTimeoutError
    errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, OSError)

    async def open(self, dsn: str, options: Options) -> None:
        self._engine = create_async_engine(
            dsn.replace("postgresql://", "postgresql+asyncpg://"),
            **engine_options(AsyncAdaptedQueuePool, options),
        )

    async def close(self) -> None:
        await self._engine.dispose()

    def truth(self) -> Truth | None:
        return truth_of(self._engine.pool)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    async def take(self, timeout_s: float) -> AsyncConnection:
        set_timeout(self._engine.pool, timeout_s)
        return await self._engine.connect()

    async def use(self, handle: AsyncConnection, statement: str) -> None:
        await handle.execute(text(statement))

    async def give_back(self, handle: AsyncConnection) -> None:
        await handle.close()

    async def invalidate(self, handle: AsyncConnection) -> None:
        await handle.invalidate()

    async def invalidate_softly(self, handle: AsyncConnection) -> None:
        (await handle.get_raw_connection()).invalidate(soft=True)

    async def detach(self, handle: AsyncConnection) -> None:
        (await handle.get_raw_connection()).detach()

    async def dispose(self) -> None:
        await self._engine.dispose()

    async def after_fork(self) -> None:
        await self._engine.dispose(close=False)

    def session(self, *, by_thread: bool = False) -> AsyncSessionUnderTest:
        return AsyncSessionUnderTest(self._engine, by_thread=by_thread)


COLUMN = Column(
    "async_queue_pool",
    "SQLAlchemy `AsyncAdaptedQueuePool`",
    AsyncEngineUnderTest,
    is_async=True,
    sessions=True,
    lacks=FOR_THREADS | FOR_SPECIAL_POOLS,
)
