"""The column of SQLAlchemy's QueuePool."""

from sqlalchemy.pool import QueuePool

from conformance.column import Column
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS
from conformance.pools.sqlalchemy_sync import EngineUnderTest

COLUMN = Column(
    "queue_pool",
    "SQLAlchemy `QueuePool`",
    lambda: EngineUnderTest(QueuePool),
    is_async=False,
    lacks=FOR_TASKS | FOR_SPECIAL_POOLS,
)
