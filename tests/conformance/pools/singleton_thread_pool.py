"""The column of SQLAlchemy's SingletonThreadPool: one connection per thread."""

from sqlalchemy.pool import SingletonThreadPool

from conformance.column import Column
from conformance.pools.absent import FOR_QUEUES, FOR_SPECIAL_POOLS, FOR_TASKS
from conformance.pools.sqlalchemy_sync import EngineUnderTest

COLUMN = Column(
    "singleton_thread_pool",
    "SQLAlchemy `SingletonThreadPool`",
    lambda: EngineUnderTest(SingletonThreadPool),
    is_async=False,
    has_one=True,
    lacks={
        name: why
        for name, why in (FOR_TASKS | FOR_QUEUES | FOR_SPECIAL_POOLS).items()
        if name != "nested_in_thread"
    }
    | {"nested": "see nested checkouts of a thread-local pool"},
)
