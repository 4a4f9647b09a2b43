"""Read psycopg's pools: their state, configuration, name, and why connections left them."""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncNullConnectionPool, NullConnectionPool

from poolscope.adapters.common.connect_timeouts import read_libpq_timeout
from poolscope.adapters.common.slot_keeper import KeptSlot
from poolscope.adapters.common.target import identify, target_of
from poolscope.catalogue import CloseReason, InvalidationReason
from poolscope.recording.driver_errors.invalidations import classify_invalidation, classify_message
from poolscope.recording.drivers import read_last_message
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "psycopg_pool"
NULL_POOLS = (NullConnectionPool, AsyncNullConnectionPool)

_JITTER = 0.95
"""The minimum share of `max_lifetime` for which the pool lets a connection live."""

_MADE_UP_NAME = re.compile(r"pool-\d+")
"""Names that psycopg_pool generates; the number depends on which pool was made first."""


class PsycopgPoolReader:
    """The reader of one pool; `find` returns the pool, or None if it is gone.

    `lost` counts connections that were collected while they were out. The pool never gets their
    places back, so they stay used.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self.lost = 0

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Count the connections in the pool, and the connections that callers have.

        The pool's size is no help: it includes connections that are not open yet. A connection
        that has a caller refers to the pool. So does a dead connection after the pool has dropped
        it, but its slot is not open.
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
        """Return the settings of the pool; None if it is gone."""
        pool = self._find()
        if pool is None:
            return None
        return PoolConfiguration(
            pool_class=type(pool).__name__,
            library=LIBRARY,
            idle_min=pool.min_size,
            timeout_s=float(pool.timeout),
            connect_timeout_s=_connect_timeout(pool),
            recycle_s=float(pool.max_lifetime) if isfinite(pool.max_lifetime) else None,
            pre_ping=pool._check is not None,
            **_limits(pool),
        )

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        """Return any connection that has not been closed."""
        references = [
            reference
            for reference, slot in slots.items()
            if isinstance(slot, KeptSlot) and slot.is_open
        ]
        connections = (reference() for reference in references)
        return next((connection for connection in connections if connection is not None), None)

    def is_closed(self) -> bool:
        """Return whether the pool was closed: then it can not be opened again."""
        pool = self._find()
        return pool is not None and pool._opened and pool.closed


def _limits(pool: Any) -> dict[str, Any]:
    low, high = pool.min_size, pool.max_size
    if isinstance(pool, NULL_POOLS):
        return {"max": high or None, "idle_max": 0}  # a maximum of 0 means "no limit" there
    return {
        "max": high,
        "idle_max": high,
        "size": low,
        "max_overflow": high - low,
        "idle_timeout_s": float(pool.max_idle) if isfinite(pool.max_idle) else 0.0,
    }


def _connect_timeout(pool: Any) -> float | None:
    """Return the workers' connect time-out; for a null pool, the time-out of its callers."""
    if isinstance(pool, NULL_POOLS):
        return float(pool.timeout)
    given = _parameters(pool)
    return None if given is None else read_libpq_timeout(given)


def _parameters(pool: Any) -> dict[str, Any] | None:
    """Return the parameters of a connection; None if a function of the application makes them.

    Such a function is not called: it may take long, or await.
    """
    conninfo, kwargs = pool.conninfo or "", pool.kwargs or {}
    if callable(conninfo) or callable(kwargs):
        return None
    return {**conninfo_to_dict(conninfo), **kwargs}


def identify_pool(pool: Any) -> PoolIdentity:
    """Name a pool by its given name, or by its configured server and database.

    A function that makes the connection string is not called here: it may take long, or await.
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
        # It closes a returned connection that nobody waits for, even with an open transaction.
        broken = status == TransactionStatus.UNKNOWN
        return CloseReason.INVALIDATED if broken else CloseReason.NOT_POOLED
    if status != TransactionStatus.IDLE:
        return CloseReason.INVALIDATED
    if pool.closed:
        return CloseReason.OTHER
    # The pool's times are of another clock than poolscope's.
    drained = connection._created_at <= pool._drained_at
    if drained or slot.expired(pool.max_lifetime * _JITTER):
        return CloseReason.RECYCLED
    return CloseReason.IDLE  # the pool shrinks to its minimum


def invalidation_reason(
    connection: Any, slot: KeptSlot, error: BaseException | None
) -> InvalidationReason:
    """Return why a connection that its pool drops was lost.

    `error` is handled while the pool does so. It may be of this connection, or of other code. libpq
    keeps the last message of the connection, but not its SQLSTATE.
    """
    if slot.cancelled:
        # psycopg closes a connection if its query is cancelled twice, as anyio does.
        return InvalidationReason.CANCELLED
    if connection.closed and not connection.broken:
        return InvalidationReason.REQUESTED
    reason = classify_message(read_last_message(connection))
    if reason is InvalidationReason.ERROR and error is not None:
        return classify_invalidation(error)
    return reason
