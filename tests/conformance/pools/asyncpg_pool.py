"""The column of asyncpg's own pool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from conformance.column import Collection, Column, Options, Truth
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_THREADS, NO_SECOND_LIFE


class AsyncpgPoolUnderTest:
    timed_out: type[BaseException] = TimeoutError
    errors: tuple[type[Exception], ...] = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

    async def open(self, dsn: str, options: Options) -> None:
        self._dsn, self._options = dsn, options
        lifetime_s = options.recycle_s or 0.0
        self._pool: Any = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=options.keep + options.overflow,
            max_inactive_connection_lifetime=lifetime_s,
        )

    async def close(self) -> None:
        self._pool.terminate()

    def truth(self) -> Truth | None:
        idle = self._pool.get_idle_size()
        return Truth(self._pool.get_size() - idle, idle)

    @asynccontextmanager
    async def block(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection:
            yield connection

    async def take(self, timeout_s: float) -> Any:
        return await self._pool.acquire(timeout=timeout_s)

    async def use(self, handle: Any, statement: str) -> None:
        await handle.execute(statement)

    async def give_back(self, handle: Any) -> None:
        await self._pool.release(handle)

    async def invalidate(self, handle: Any) -> None:
        handle.terminate()

    async def invalidate_softly(self, handle: Any) -> None:
        await self._pool.expire_connections()

    async def detach(self, handle: Any) -> None:
        raise NotImplementedError

    async def dispose(self) -> None:
        raise NotImplementedError

    async def after_fork(self) -> None:
        await self.open(self._dsn, self._options)


COLUMN = Column(
    "asyncpg_pool",
    "`asyncpg.Pool`",
    AsyncpgPoolUnderTest,
    is_async=True,
    collection=Collection.NEVER,
    lacks=FOR_THREADS
    | FOR_SPECIAL_POOLS
    | NO_SECOND_LIFE
    | {"killed_idle_pre_ping": "it has no pre-ping: it notices by itself"},
    differs={
        "cancelled_in_use": "returned",
        "asyncio_timeout": "returned",
        "server_restart": "error, connect error: refused, invalidated: lost_while_idle,"
        " closed: invalidated",
        "killed_idle": "invalidated: lost_while_idle, closed: invalidated",
        "recycle": "closed: idle",  # it has no other age
        "soft_invalidate": "closed: recycled",
        "hard_invalidate": "invalidated: requested, closed: invalidated",
        "collected": "still out",
    },
)
