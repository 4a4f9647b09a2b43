"""Read psycopg's pools: their state, configuration, name, and why connections left them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncNullConnectionPool, NullConnectionPool

from poolscope.adapters.common.slot_keeper import KeptSlot
from poolscope.adapters.common.target import identify, target_of
from poolscope.catalogue import CloseReason
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "psycopg_pool"
NULL_POOLS = (NullConnectionPool, AsyncNullConnectionPool)

_JITTER = 0.95
"""The pool lets a connection live this share of `max_lifetime` at least."""

_MADE_UP_NAME = re.compile(r"pool-\d+")
"""Names that psycopg_pool counts up; they depend on which pool was made first."""


class PsycopgPoolReader:
    """Read one pool; `find` returns it, or None once it is gone.

    `lost` counts connections that were collected while they were out: the pool never gets those
    places back, so they stay used.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self.lost = 0

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Count what waits in the pool, and the connections that say they belong to a caller.

        The pool's own size counts connections that are still to be opened too. A dead one that it
        has dropped still says that it belongs to it.
        """
        pool = self._find()
        if pool is None:
            return None
        out = sum(
            getattr(reference(), "_pool", None) is pool
            for reference, slot in slots.items()
            if isinstance(slot, KeptSlot) and slot.is_open
        )
        lost = 0 if pool.closed else self.lost
        return PoolState(out + lost, len(pool._pool), lost)

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None once it is gone."""
        pool = self._find()
        if pool is None:
            return None
        return PoolConfiguration(
            pool_class=type(pool).__name__,
            library=LIBRARY,
            idle_min=pool.min_size,
            timeout_s=float(pool.timeout),
            recycle_s=float(pool.max_lifetime),
            pre_ping=pool._check is not None,
            **_limits(pool),
        )


def _limits(pool: Any) -> dict[str, int | None]:
    low, high = pool.min_size, pool.max_size
    if isinstance(pool, NULL_POOLS):
        return {"max": high or None, "idle_max": 0}  # a maximum of 0 means "no limit" there
    return {"max": high, "idle_max": high, "size": low, "max_overflow": high - low}


def identify_pool(pool: Any) -> PoolIdentity:
    """Name a pool by its given name, or by what it was told to connect to.

    Connection strings that a function makes are not asked for here: it may take long, or await.
    """
    given = None if _MADE_UP_NAME.fullmatch(pool.name) else pool.name
    conninfo, kwargs = pool.conninfo or "", pool.kwargs or {}
    parts = conninfo_to_dict("" if callable(conninfo) else conninfo)
    given_parts = {**parts, **({} if callable(kwargs) else kwargs)}
    return identify(given, target_of(given_parts), LIBRARY)


def close_reason(pool: Any, connection: Any, slot: KeptSlot) -> CloseReason:
    """Return why a pool closes a connection, before it does."""
    status = connection.pgconn.transaction_status
    if isinstance(pool, NULL_POOLS):
        # It closes what nobody waits for as it is returned, an open transaction included.
        broken = status == TransactionStatus.UNKNOWN
        return CloseReason.INVALIDATED if broken else CloseReason.NOT_POOLED
    if status != TransactionStatus.IDLE:
        return CloseReason.INVALIDATED
    if pool.closed:
        return CloseReason.OTHER
    # The pool's own dates are of another clock than ours.
    drained = connection._created_at <= pool._drained_at
    if drained or slot.expired(pool.max_lifetime * _JITTER):
        return CloseReason.RECYCLED
    return CloseReason.OVERFLOW  # the pool shrinks to its minimum
