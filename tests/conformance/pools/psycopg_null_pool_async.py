"""The column of psycopg_pool's AsyncNullConnectionPool."""

from psycopg_pool import AsyncNullConnectionPool

from conformance.column import Collection, Column
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_THREADS, NO_SECOND_LIFE, NOTHING_IDLE
from conformance.pools.psycopg_null_pool_sync import DIFFERS
from conformance.pools.psycopg_pool_async import AsyncPsycopgPoolUnderTest
from conformance.pools.psycopg_pool_sync import LACKS

COLUMN = Column(
    "psycopg_null_pool_async",
    "`psycopg_pool.AsyncNullConnectionPool`",
    lambda: AsyncPsycopgPoolUnderTest(AsyncNullConnectionPool),
    is_async=True,
    collection=Collection.LOSES_PLACE,
    lacks={
        name: why
        for name, why in (
            FOR_THREADS | FOR_SPECIAL_POOLS | NO_SECOND_LIFE | LACKS | NOTHING_IDLE
        ).items()
        if name != "not_pooled"
    },
    differs=DIFFERS | {"cancelled_in_use": "returned", "asyncio_timeout": "returned"},
)
