"""The column of SQLAlchemy's NullPool."""

from sqlalchemy.pool import NullPool

from conformance.column import Column
from conformance.pools.absent import FOR_QUEUES, FOR_SPECIAL_POOLS, FOR_TASKS, NOTHING_IDLE
from conformance.pools.sqlalchemy_sync import EngineUnderTest

COLUMN = Column(
    "null_pool",
    "SQLAlchemy `NullPool`",
    lambda: EngineUnderTest(NullPool),
    is_async=False,
    lacks={
        name: why
        for name, why in (FOR_TASKS | FOR_QUEUES | FOR_SPECIAL_POOLS | NOTHING_IDLE).items()
        if name != "not_pooled"
    },
    differs={
        "server_restart": "error, connect error: refused",
        "killed_in_use": "invalidated: socket",
        "hard_invalidate": "invalidated: requested",
        "dispose": "returned",
    },
)
