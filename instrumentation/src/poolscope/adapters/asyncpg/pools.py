"""Read asyncpg's pools: their state, configuration, name, and why connections left them."""

import sys
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any
from weakref import ref

import asyncpg  # type: ignore[import-untyped]
from asyncpg.pool import PoolConnectionHolder  # type: ignore[import-untyped]

from poolscope.adapters.common.calling_frames import frame_running
from poolscope.adapters.common.connect_timeouts import read_connect_timeout
from poolscope.adapters.common.target import identify, read_url, target_of
from poolscope.catalogue import CloseReason
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "asyncpg"

_TIMER = getattr(PoolConnectionHolder, "_deactivate_inactive_connection", None)
_TIMER_CODES = {_TIMER.__code__} if _TIMER is not None else set()


HOLDERS_ARE_WEAK = hasattr(PoolConnectionHolder, "__weakref__")
"""Up to asyncpg 0.31 a holder allows no weak references."""


class Life:
    """An object that lives as long as a holder without weak references: the pool's queue has it."""

    __slots__ = ("__weakref__",)


def holder_finder(pool: Any) -> Callable[[], Any]:
    """Return a function that finds a holder of a pool, or returns None after the pool is gone."""
    if HOLDERS_ARE_WEAK:
        return ref(pool._holders[0])
    find_queue = ref(pool._queue)

    def find_holder() -> Any:
        return next(iter(getattr(find_queue(), "_poolscope_slots", ())), None)

    return find_holder


class AsyncpgPoolReader:
    """The reader of one pool; `find_holder` returns a holder of it, or None if the pool is gone.

    The pool itself allows no weak references.
    """

    def __init__(self, find_holder: Callable[[], Any]) -> None:
        self._find_holder = find_holder

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:  # noqa: ARG002 - a protocol's
        """Count the holders with a connection, by whether they are in use."""
        holder = self._find_holder()
        if holder is None:
            return None
        connected = [other for other in holder._pool._holders if other.is_connected()]
        idle = sum(other.is_idle() for other in connected)
        return PoolState(len(connected) - idle, idle)

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None if it is gone.

        The pool has no time-out: either `acquire` gets one, or the caller waits for ever.
        """
        holder = self._find_holder()
        if holder is None:
            return None
        pool = holder._pool
        low, high = pool._minsize, pool._maxsize
        idle_timeout_s = float(pool._max_inactive_connection_lifetime)
        return PoolConfiguration(
            pool_class=type(pool).__name__,
            library=LIBRARY,
            max=high,
            idle_max=high,
            idle_min=low,
            size=low,
            max_overflow=high - low,
            timeout_s=_caller_timeout(pool),
            connect_timeout_s=_connect_timeout(pool),
            idle_timeout_s=idle_timeout_s if isfinite(idle_timeout_s) else 0.0,
        )

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:  # noqa: ARG002 - a protocol's
        """Return the driver's connection of any holder that has one."""
        holder = self._find_holder()
        holders = holder._pool._holders if holder is not None else ()
        return next((other._con for other in holders if other.is_connected()), None)

    def is_closed(self) -> bool:
        """Return whether the pool was closed or terminated."""
        holder = self._find_holder()
        return holder is not None and bool(holder._pool._closed)


def _caller_timeout(pool: Any) -> float | None:
    """Return the longest time-out of callers; None if a caller has no limit, or none gave one."""
    stats = getattr(pool._queue, "_poolscope", None)
    timeout_s: float | None = None if stats is None else stats.caller_timeout_s
    return timeout_s if timeout_s is not None and isfinite(timeout_s) else None


def _connect_timeout(pool: Any) -> float | None:
    given, connect = pool._connect_kwargs, getattr(pool, "_connect", asyncpg.connect)
    if connect is not asyncpg.connect and "timeout" not in given:
        return None  # the application's function may have another default
    return read_connect_timeout(LIBRARY, given)


def identify_pool(pool: Any) -> PoolIdentity:
    """Name a pool by its configured server and database."""
    given: dict[str, Any] = {}
    dsn = pool._connect_args[0] if pool._connect_args else None
    if isinstance(dsn, str):
        given = dict(read_url(dsn))
    given |= {name: value for name, value in pool._connect_kwargs.items() if value is not None}
    return identify(None, target_of(given), LIBRARY)


def close_reason(holder: Any) -> CloseReason:
    """Return why the connection of a holder was closed, before the holder drops it."""
    pool, connection = holder._pool, holder._con
    if pool.is_closing():
        return CloseReason.OTHER
    if holder._generation != pool._generation or _is_used_up(holder, connection):
        return CloseReason.RECYCLED
    if holder._in_use is None and frame_running(_TIMER_CODES, sys._getframe()) is not None:
        return CloseReason.IDLE
    return CloseReason.INVALIDATED


def _is_used_up(holder: Any, connection: Any) -> bool:
    protocol = getattr(connection, "_protocol", None)
    queries: int = getattr(protocol, "queries_count", 0)
    return queries >= float(holder._max_queries)
