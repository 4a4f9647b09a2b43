"""Read SQLAlchemy's pools: their state, configuration, name, and why connections left them."""

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import NullPool, QueuePool

from poolscope.catalogue import CloseReason, InvalidationReason
from poolscope.clock import wall_ns
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "sqlalchemy"
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class SqlalchemyPoolReader:
    """Read one pool; `find` returns it, or None once it is gone.

    An engine's pool is found by way of the engine, because `dispose()` replaces it by another;
    connections of the old one still count while they live.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def state(self, slots: Mapping[Any, Slot]) -> PoolState:
        """Count connections by what their records say.

        The pool's own `checkedin()` also counts records whose connection is gone, and its
        `checkedout()` is -1 after `dispose()`.
        """
        records = [record for reference in slots if (record := reference()) is not None]
        open_records = [record for record in records if record.dbapi_connection is not None]
        used = sum(record.in_use for record in open_records)
        return PoolState(used, len(open_records) - used)

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None once it is gone."""
        pool = self._find()
        if pool is None:
            return None
        common: dict[str, Any] = {
            "pool_class": type(pool).__name__,
            "library": LIBRARY,
            "recycle_s": float(pool._recycle) if pool._recycle >= 0 else None,
            "pre_ping": bool(pool._pre_ping),
        }
        return PoolConfiguration(**common, **_limits(pool))


def _limits(pool: Any) -> dict[str, Any]:
    if not isinstance(pool, QueuePool):
        return {}
    size, overflow = pool.size(), pool._max_overflow
    # pool_size 0 means "no limit" to SQLAlchemy, and max_overflow -1 too.
    bounded = size > 0 and overflow >= 0
    return {
        "max": size + overflow if bounded else None,
        "idle_max": size if size > 0 else None,
        "idle_min": 0,
        "size": size if size > 0 else None,
        "max_overflow": overflow if overflow >= 0 else None,
        "timeout_s": float(pool.timeout()),
    }


def identify(pool: Any, engine: Engine | None) -> PoolIdentity:
    """Name a pool: the user's name, the database, the server, the library; never a password."""
    given = pool._orig_logging_name
    if engine is None:
        return PoolIdentity(given or type(pool).__name__)
    url = engine.url
    system = url.get_backend_name()
    database, host = url.database or "", url.host or ""
    port = url.port or (_DEFAULT_PORTS.get(system) if host else None)
    target = f"{host}:{port}" if port else host
    return PoolIdentity(given or database or target or system, database, host, port, system)


def pool_of(record: Any) -> Any:
    """Return the pool that a connection record belongs to."""
    return record._ConnectionRecord__pool


def passes_on(pool: Any) -> bool:
    """Return whether a pool keeps nothing: it opens a connection, passes it on, and closes it."""
    return isinstance(pool, NullPool)


def queue_of(pool: Any) -> Any:
    """Return the queue of a pool that has one, else None."""
    return pool._pool if isinstance(pool, QueuePool) else None


def idle_records(pool: Any) -> list[Any]:
    """Return the records that already wait in a pool's queue when we attach to it."""
    queue = getattr(queue_of(pool), "queue", None)  # the synchronous queue's deque
    if queue is None:
        inner = getattr(queue_of(pool), "_queue", None)  # asyncio.Queue keeps its own
        queue = getattr(inner, "_queue", None)
    return list(queue) if queue is not None else []


def close_reason(record: Any) -> CloseReason:
    """Return why a pool closes the connection of `record`, from the state it is in."""
    pool, queue = pool_of(record), queue_of(pool_of(record))
    if isinstance(pool, NullPool):
        return CloseReason.NOT_POOLED
    if record._is_hard_or_soft_invalidated() or record._poolscope.invalidated:
        return CloseReason.INVALIDATED
    if queue is not None and queue.full():
        return CloseReason.OVERFLOW
    if _is_recycled(record, pool._recycle):
        return CloseReason.RECYCLED
    return CloseReason.OTHER


def _is_recycled(record: Any, recycle_s: float) -> bool:
    """Return whether the pool finds a connection too old, by its own date and clock.

    By ours it is younger: it was not open yet when SQLAlchemy began to count.
    """
    opened_at = getattr(record, "starttime", inf)
    return bool(recycle_s > -1 and wall_ns() / 1e9 - opened_at > recycle_s)


def invalidation_reason(error: BaseException | None) -> InvalidationReason:
    """Return why a connection was invalidated."""
    if error is None:
        return InvalidationReason.REQUESTED
    if isinstance(error, InvalidatePoolError):
        return InvalidationReason.PING
    if isinstance(error, CancelledError):
        return InvalidationReason.CANCELLED
    return InvalidationReason.ERROR
