"""The column of SQLAlchemy's StaticPool: one connection for all."""

from sqlalchemy.pool import StaticPool

from conformance.column import Column
from conformance.pools.absent import FOR_QUEUES, FOR_SPECIAL_POOLS, FOR_TASKS
from conformance.pools.sqlalchemy_sync import EngineUnderTest

COLUMN = Column(
    "static_pool",
    "SQLAlchemy `StaticPool`",
    lambda: EngineUnderTest(StaticPool),
    is_async=False,
    has_one=True,
    lacks={
        name: why
        for name, why in (FOR_TASKS | FOR_QUEUES | FOR_SPECIAL_POOLS).items()
        if name != "shared"
    }
    | {"nested": "see two users of the one connection"},
    differs={"soft_invalidate": "returned"},  # the old connection is dropped, never closed
)
