"""The column of psycopg_pool's NullConnectionPool."""

from psycopg_pool import NullConnectionPool

from conformance.column import Collection, Column
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS, NO_SECOND_LIFE, NOTHING_IDLE
from conformance.pools.psycopg_pool_sync import LACKS, PsycopgPoolUnderTest

DIFFERS = {
    "refused_connect": "error, connect error: refused",  # the caller connects, not a worker
    "server_restart": "error, connect error: refused",
}

COLUMN = Column(
    "psycopg_null_pool",
    "`psycopg_pool.NullConnectionPool`",
    lambda: PsycopgPoolUnderTest(NullConnectionPool),
    is_async=False,
    collection=Collection.LOSES_PLACE,
    lacks={
        name: why
        for name, why in (
            FOR_TASKS | FOR_SPECIAL_POOLS | NO_SECOND_LIFE | LACKS | NOTHING_IDLE
        ).items()
        if name != "not_pooled"
    },
    differs=DIFFERS,
)
