"""The column of psycopg_pool's AsyncConnectionPool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from conformance.column import Collection, Column, Options, Truth
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_THREADS, NO_SECOND_LIFE
from conformance.pools.psycopg_pool_sync import DIFFERS, LACKS, pool_options, truth_of


class AsyncPsycopgPoolUnderTest:
    timed_out: type[BaseException] = PoolTimeout
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, pool_class: type[AsyncConnectionPool[Any]] = AsyncConnectionPool) -> None:
        self._class = pool_class

    async def open(self, dsn: str, options: Options) -> None:
        self._dsn, self._options = dsn, options
        check = AsyncConnectionPool.check_connection if options.pre_ping else None
        self._pool = self._class(dsn, open=False, check=check, **pool_options(options))
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    def truth(self) -> Truth | None:
        return truth_of(self._pool)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Any]:
        async with self._pool.connection() as connection:
            yield connection

    async def take(self, timeout_s: float) -> Any:
        return await self._pool.getconn(timeout=timeout_s)

    async def use(self, handle: Any, statement: str) -> None:
        await handle.execute(statement)

    async def give_back(self, handle: Any) -> None:
        await self._pool.putconn(handle)

    async def invalidate(self, handle: Any) -> None:
        await handle.close()

    async def invalidate_softly(self, handle: Any) -> None:
        raise NotImplementedError

    async def detach(self, handle: Any) -> None:
        raise NotImplementedError

    async def dispose(self) -> None:
        raise NotImplementedError

    async def after_fork(self) -> None:
        await self.open(self._dsn, self._options)


COLUMN = Column(
    "psycopg_pool_async",
    "`psycopg_pool.AsyncConnectionPool`",
    AsyncPsycopgPoolUnderTest,
    is_async=True,
    collection=Collection.LOSES_PLACE,
    lacks=FOR_THREADS | FOR_SPECIAL_POOLS | NO_SECOND_LIFE | LACKS,
    differs=DIFFERS | {"cancelled_in_use": "returned", "asyncio_timeout": "returned"},
)
