"""Read asyncpg's pools: their state, configuration, name, and why connections left them."""

from collections.abc import Callable, Mapping
from typing import Any

from poolscope.adapters.common.target import identify, read_url, target_of
from poolscope.catalogue import CloseReason
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "asyncpg"


class AsyncpgPoolReader:
    """Read one pool; `find_holder` returns a holder of it, or None once the pool is gone.

    The pool itself cannot be referenced weakly.
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
        """Return the settings of the pool; None once it is gone.

        Without a time-out of its own (`acquire` takes one) callers wait for ever.
        """
        holder = self._find_holder()
        if holder is None:
            return None
        pool = holder._pool
        low, high = pool._minsize, pool._maxsize
        return PoolConfiguration(
            pool_class=type(pool).__name__,
            library=LIBRARY,
            max=high,
            idle_max=high,
            idle_min=low,
            size=low,
            max_overflow=high - low,
        )


def identify_pool(pool: Any) -> PoolIdentity:
    """Name a pool by the server and database it was told to connect to."""
    given: dict[str, Any] = {}
    dsn = pool._connect_args[0] if pool._connect_args else None
    if isinstance(dsn, str):
        given = dict(read_url(dsn))
    given |= {name: value for name, value in pool._connect_kwargs.items() if value is not None}
    return identify(None, target_of(given), LIBRARY)


def close_reason(holder: Any) -> CloseReason:
    """Return why the connection of a holder was closed, before the holder forgets it."""
    pool, connection = holder._pool, holder._con
    if pool.is_closing():
        return CloseReason.OTHER
    if holder._generation != pool._generation or _is_used_up(holder, connection):
        return CloseReason.RECYCLED
    # Its timer is taken away right before an idle connection is closed for having been idle.
    if holder._in_use is None and holder._inactive_callback is None and holder._max_inactive_time:
        return CloseReason.RECYCLED
    return CloseReason.INVALIDATED


def _is_used_up(holder: Any, connection: Any) -> bool:
    protocol = getattr(connection, "_protocol", None)
    queries: int = getattr(protocol, "queries_count", 0)
    return queries >= float(holder._max_queries)
