"""Count a connection only once if one pool takes it out of another pool.

A pool that only passes connections on is not counted (SQLAlchemy's `NullPool` over a
psycopg_pool): the pool below opens, keeps and lends them. A pool that keeps the connections (a
`QueuePool` over a psycopg_pool) is counted separately, with separate callers. It holds its
connections of the pool below for long on purpose, so they are no evidence of a leak there.
"""

from collections.abc import Callable
from typing import Any
from weakref import ref

from poolscope.adapters.common.slot_keeper import kept_on
from poolscope.recording.pool import OpenCheckout, PoolStats, Slot
from poolscope.recording.requests import Request


def slot_below(connection: Any) -> Slot | None:
    """Return the slot of a driver's connection that another pool has lent; None if none has."""
    slot = kept_on(connection)
    if slot is not None:
        return slot  # of psycopg_pool
    holder = getattr(connection, "_holder", None)  # an asyncpg proxy has it
    if holder is None:
        return None
    stats = getattr(holder._pool._queue, "_poolscope", None)
    return stats.slots.get(ref(holder)) if isinstance(stats, PoolStats) else None


def mark_long_lived(slot: Slot) -> None:
    """Declare that the pool above keeps this connection, independent of the current caller."""
    out = slot.out
    if out is not None:
        kept = Request()
        kept.long_lived = True
        slot.out = OpenCheckout._make(out)._replace(request=kept)


def tie_to_upper_holder(slot: Slot, alive: Callable[[], object]) -> None:
    """Use the object that the caller of the pool above holds as the life of the slot below.

    That pool returns a connection that its caller leaked. Without this, the leak would look like
    an ordinary return.
    """
    out = slot.out
    if out is not None:
        slot.out = (*out[:6], alive)
