"""The column of psycopg_pool's ConnectionPool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from conformance.column import Collection, Column, Options, Truth
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS, NO_SECOND_LIFE

LACKS = {"soft_invalidate": "it has no soft invalidation"}
DIFFERS = {
    "refused_connect": "timeout, connect error: refused",
    "server_restart": "timeout, connect error: refused, invalidated: socket, closed: invalidated",
}


class PsycopgPoolUnderTest:
    timed_out: type[BaseException] = PoolTimeout
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, pool_class: type[ConnectionPool[Any]] = ConnectionPool) -> None:
        self._class = pool_class

    async def open(self, dsn: str, options: Options) -> None:
        self._dsn, self._options = dsn, options
        check = ConnectionPool.check_connection if options.pre_ping else None
        self._pool = self._class(dsn, open=True, check=check, **pool_options(options))

    async def close(self) -> None:
        self._pool.close()

    def truth(self) -> Truth | None:
        return truth_of(self._pool)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Any]:
        with self._pool.connection() as connection:
            yield connection

    async def take(self, timeout_s: float) -> Any:
        return self._pool.getconn(timeout=timeout_s)

    async def use(self, handle: Any, statement: str) -> None:
        handle.execute(statement)

    async def give_back(self, handle: Any) -> None:
        self._pool.putconn(handle)

    async def invalidate(self, handle: Any) -> None:
        handle.close()

    async def invalidate_softly(self, handle: Any) -> None:
        raise NotImplementedError

    async def detach(self, handle: Any) -> None:
        raise NotImplementedError

    async def dispose(self) -> None:
        raise NotImplementedError

    async def after_fork(self) -> None:
        await self.open(self._dsn, self._options)


def pool_options(options: Options) -> dict[str, Any]:
    lifetime: dict[str, Any] = {"max_lifetime": options.recycle_s} if options.recycle_s else {}
    return {"min_size": 0, "max_size": options.keep + options.overflow, **lifetime}


def truth_of(pool: Any) -> Truth:
    """Read the pool's own numbers; its size also counts connections that are being opened."""
    return Truth(None, pool.get_stats()["pool_available"])


COLUMN = Column(
    "psycopg_pool",
    "`psycopg_pool.ConnectionPool`",
    PsycopgPoolUnderTest,
    is_async=False,
    collection=Collection.LOSES_PLACE,
    lacks=FOR_TASKS | FOR_SPECIAL_POOLS | NO_SECOND_LIFE | LACKS,
    differs=DIFFERS,
)
