"""Read SQLAlchemy's pools: their state, configuration, name, and why connections left them."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import NullPool, QueuePool

from poolscope.adapters.common.connect_timeouts import read_connect_timeout
from poolscope.adapters.common.target import split_host
from poolscope.catalogue import CloseReason, InvalidationReason
from poolscope.clock import wall_ns
from poolscope.recording.driver_errors.invalidations import classify_loss
from poolscope.recording.pool import PoolConfiguration, PoolIdentity, PoolState, Slot

LIBRARY = "sqlalchemy"
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


class SqlalchemyPoolReader:
    """The reader of one pool; `find` returns the pool, or None if it is gone.

    The pool of an engine is found through the engine, because `dispose()` replaces the pool. The
    connections of the old pool still count while they live.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def state(self, slots: Mapping[Any, Slot]) -> PoolState:
        """Count connections from the state of their records.

        The pool's `checkedin()` also counts records without a connection, and its `checkedout()`
        is -1 after `dispose()`.
        """
        records = [record for reference in slots if (record := reference()) is not None]
        open_records = [record for record in records if record.dbapi_connection is not None]
        used = sum(record.in_use for record in open_records)
        return PoolState(used, len(open_records) - used)

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings of the pool; None if it is gone."""
        pool = self._find()
        if pool is None:
            return None
        common: dict[str, Any] = {
            "pool_class": type(pool).__name__,
            "library": LIBRARY,
            "connect_timeout_s": _connect_timeout(pool),
            "recycle_s": float(pool._recycle) if pool._recycle >= 0 else None,
            "pre_ping": bool(pool._pre_ping),
        }
        return PoolConfiguration(**common, **_limits(pool))

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        """Return the connection of any record that has one, in SQLAlchemy's wrapper."""
        records = (reference() for reference in slots)
        connections = (record.dbapi_connection for record in records if record is not None)
        return next((connection for connection in connections if connection is not None), None)

    def is_closed(self) -> bool:
        """Return False: an engine that was disposed can be used again."""
        return False


def _limits(pool: Any) -> dict[str, Any]:
    if not isinstance(pool, QueuePool):
        return {}
    size, overflow = pool.size(), pool._max_overflow
    # For SQLAlchemy, pool_size 0 and max_overflow -1 both mean "no limit".
    bounded = size > 0 and overflow >= 0
    timeout_s = pool.timeout()  # None: callers wait without a limit
    return {
        "max": size + overflow if bounded else None,
        "idle_max": size if size > 0 else None,
        "idle_min": 0,
        "size": size if size > 0 else None,
        "max_overflow": overflow if overflow >= 0 else None,
        "timeout_s": None if timeout_s is None else float(timeout_s),
    }


def _connect_timeout(pool: Any) -> float | None:
    """Return the driver's time-out for opening a connection; None if it is unknown.

    Only the creator of an engine has its connection parameters, `connect_args` included. A creator
    of the application may do anything, and so may a listener that changes the parameters.
    """
    known = _variables_of(pool._creator)
    dialect, given = known.get("dialect"), known.get("cparams")
    if dialect is None or given is None:
        return None
    is_changed = getattr(dialect, "_has_events", False) and bool(dialect.dispatch.do_connect)
    if is_changed and not {"timeout", "connect_timeout"} & given.keys():
        return None
    return read_connect_timeout(getattr(dialect, "driver", ""), given)


def _variables_of(creator: Any) -> dict[str, Any]:
    """Return the variables that `create_engine()` gave to its creator, by name."""
    if getattr(creator, "__module__", "") != create_engine.__module__:
        return {}
    cells = zip(creator.__code__.co_freevars, creator.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def identify(pool: Any, engine: Engine | None) -> PoolIdentity:
    """Name a pool by the given name, or else its database, server or system; never a password."""
    given = pool._orig_logging_name
    if engine is None:
        return PoolIdentity(given or type(pool).__name__)
    url = engine.url
    system = url.get_backend_name()
    database, host, port = url.database or "", *_server_of(url)
    port = port or (_DEFAULT_PORTS.get(system) if host else None)
    target = f"{host}:{port}" if port else host
    return PoolIdentity(given or database or target or system, database, host, port, system)


def _server_of(url: URL) -> tuple[str, int | None]:
    """Return host and port; a URL may have them in its query, such as the folder of a socket.

    Only the first of several hosts counts: the others have the same database after a fail-over.
    """
    if url.host:
        return url.host, url.port
    host, port = split_host(_first(url.query.get("host") or url.query.get("unix_socket")))
    port = port or _first(url.query.get("port"))
    return host, int(port) if port.isdigit() else None


def _first(given: str | tuple[str, ...] | None) -> str:
    """Return the first value of a URL's query; a value may be a list, separated by commas."""
    value = given if isinstance(given, str) else next(iter(given or ()), "")
    return value.partition(",")[0]


def pool_of(record: Any) -> Any:
    """Return the pool of a connection record."""
    return record._ConnectionRecord__pool


def passes_on(pool: Any) -> bool:
    """Return whether a pool keeps nothing: it opens a connection, passes it on, and closes it."""
    return isinstance(pool, NullPool)


def queue_of(pool: Any) -> Any:
    """Return the queue of a pool that has one, else None."""
    return pool._pool if isinstance(pool, QueuePool) else None


def idle_records(pool: Any) -> list[Any]:
    """Return the records that are in a pool's queue when poolscope attaches to it."""
    queue = getattr(queue_of(pool), "queue", None)  # the synchronous queue's deque
    if queue is None:
        inner = getattr(queue_of(pool), "_queue", None)  # asyncio.Queue has another deque
        queue = getattr(inner, "_queue", None)
    return list(queue) if queue is not None else []


def close_reason(record: Any) -> CloseReason:
    """Return why a pool closes the connection of `record`, from the record's state."""
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
    """Return whether the pool finds a connection too old, by the pool's date and clock.

    By poolscope's clock it is younger: SQLAlchemy starts to count before the connection is open.
    """
    opened_at = getattr(record, "starttime", inf)
    return bool(recycle_s > -1 and wall_ns() / 1e9 - opened_at > recycle_s)


def invalidation_reason(error: BaseException | None, record: Any) -> InvalidationReason:
    """Return why the connection of `record` is invalidated, while the record still has it."""
    if error is None:
        return InvalidationReason.REQUESTED
    if isinstance(error, InvalidatePoolError):
        return InvalidationReason.PING
    return classify_loss(error, record.driver_connection)
