"""The column of SQLAlchemy's QueuePool."""

from sqlalchemy.pool import QueuePool

from conformance.column import Column
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS, FOR_TASKS_OF_SESSIONS
from conformance.pools.sqlalchemy_sync import EngineUnderTest

COLUMN = Column(
    "queue_pool",
    "SQLAlchemy `QueuePool`",
    lambda: EngineUnderTest(QueuePool),
    is_async=False,
    sessions=True,
    lacks=FOR_TASKS | FOR_SPECIAL_POOLS | FOR_TASKS_OF_SESSIONS,
    differs={"session_by_thread": "shared: requests, blocking checkout"},
)
