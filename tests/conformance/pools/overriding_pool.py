"""The column of a pool class of somebody's own, which overrides `connect` without `super()`."""

from sqlalchemy.pool import PoolProxiedConnection, QueuePool
from sqlalchemy.pool.base import _ConnectionFairy

from conformance.column import Column
from conformance.pools.absent import FOR_SPECIAL_POOLS, FOR_TASKS
from conformance.pools.sqlalchemy_sync import EngineUnderTest


class OverridingPool(QueuePool):
    def connect(self) -> PoolProxiedConnection:
        return _ConnectionFairy._checkout(self)


COLUMN = Column(
    "overriding_pool",
    "SQLAlchemy, own `connect`",
    lambda: EngineUnderTest(OverridingPool),
    is_async=False,
    lacks=FOR_TASKS | FOR_SPECIAL_POOLS,
)
