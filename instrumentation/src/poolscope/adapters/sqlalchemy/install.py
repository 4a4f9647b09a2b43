"""Attach to every SQLAlchemy pool of the process, sync and async, existing or made later.

A wrapper around `Pool.connect` measures each checkout and its failures. Class-level events of the
pool report its end. Two wrappers per pool instance separate queueing from connecting. They are
around `pool._pool.get` and `pool._invoke_creator`, private names that are the same from SQLAlchemy
1.4 to 2.1. They are attached at a pool's first use, so they survive `dispose()`.

A future version may lack a private name. Then public events still report checkouts, use time,
leaks and holders, but not the wait.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import Pool

from poolscope.adapters.common.patching import looking_like, replace
from poolscope.adapters.sqlalchemy.checkout import (
    checkout_listener,
    measured_connect,
    measured_return,
)
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.adapters.sqlalchemy.session_errors import watch_session_errors
from poolscope.adapters.sqlalchemy.shared_sessions import watch_shared_sessions
from poolscope.recording.registry import Registry

POOL_EVENTS = ("connect", "detach", "invalidate", "close")

Undo = Callable[[], None]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return the function that detaches from all of them."""
    hooks = SqlalchemyHooks(registry)
    undo = [
        _listen(Pool, name, registry.contained(getattr(hooks, f"on_{name}")))
        for name in POOL_EVENTS
    ]
    undo += [watch_shared_sessions(hooks), watch_session_errors(hooks)]
    undo += [
        _measure_checkouts(hooks),
        _measure_returns(hooks),
        _watch_new_engines(hooks),
        replace(sqlalchemy.Engine, "dispose", partial(releasing_row, hooks=hooks), hooks.contain),
        hooks.detach_all,
    ]
    registry.on_fork.append(hooks.forget_attachments)
    registry.finders.append(hooks.find)
    attach_engine = registry.contained(hooks.attach_engine)
    for engine in _existing_engines():
        attach_engine(engine)

    def uninstall() -> None:
        for step in undo:
            step()

    return uninstall


def _measure_checkouts(hooks: SqlalchemyHooks) -> Undo:
    missing = missing_names()
    if missing:
        hooks.contain(
            AttributeError(f"SQLAlchemy has no {', '.join(missing)}: wait times are not measured")
        )
        return _listen(Pool, "checkout", checkout_listener(hooks))
    return _Wrappers(hooks).restore


def _measure_returns(hooks: SqlalchemyHooks) -> Undo:
    """Note each return: in the method that every return uses, or else in the event before it.

    The event costs an application almost a microsecond per checkout; the method does not.
    """
    pool: Any = Pool
    original = pool.__dict__.get("_return_conn")
    if original is None:
        return _listen(Pool, "checkin", hooks.on_checkin)
    pool._return_conn = looking_like(original, measured_return(original, hooks))

    def restore() -> None:
        pool._return_conn = original

    return restore


def missing_names() -> list[str]:
    """Return the missing private names, out of those needed to measure a wait."""
    from sqlalchemy.pool import base  # noqa: PLC0415 - private, so imported only where needed

    wanted = (
        (base, "_ConnectionFairy", "_connection_record"),
        (base, "_ConnectionRecord", "fairy_ref"),
    )
    return [
        f"{owner}.{name}"
        for module, owner, name in wanted
        if not _declares(getattr(module, owner, None), name)
    ]


def _declares(owner: Any, name: str) -> bool:
    annotations = getattr(owner, "__annotations__", {})
    return hasattr(owner, name) or name in annotations or name in getattr(owner, "__slots__", ())


class _Wrappers:
    """The wrappers around `connect`: of `Pool`, and of each subclass that overrides it."""

    def __init__(self, hooks: SqlalchemyHooks) -> None:
        self._hooks = hooks
        self._originals: dict[type, Any] = {}
        for pool_class in {Pool, *_subclasses(Pool)}:
            self.wrap(pool_class)
        # A class that is defined later is wrapped when poolscope attaches to its first pool.
        hooks.on_class = self.wrap_all

    def restore(self) -> None:
        """Restore the original methods."""
        for pool_class, original in self._originals.items():
            pool_class.connect = original  # type: ignore[attr-defined]

    def wrap_all(self, pool_class: type) -> None:
        """Wrap a class and its parents."""
        for each in pool_class.__mro__:
            self.wrap(each)

    def wrap(self, pool_class: type) -> None:
        """Wrap `connect` of the class, if the class defines it."""
        original = pool_class.__dict__.get("connect")
        if original is not None and pool_class not in self._originals:
            self._originals[pool_class] = original
            wrapper = measured_connect(original, self._hooks, is_base=pool_class is Pool)
            pool_class.connect = looking_like(original, wrapper)  # type: ignore[attr-defined]


def _subclasses(pool_class: type) -> Iterator[type]:
    subclasses: list[type] = pool_class.__subclasses__()
    for subclass in subclasses:
        yield subclass
        yield from _subclasses(subclass)


def _listen(target: type, name: str, listener: Callable[..., None]) -> Undo:
    event.listen(target, name, listener)
    return lambda: event.remove(target, name, listener)


def _watch_new_engines(hooks: SqlalchemyHooks) -> Undo:
    """Note each engine as it is made: only the engine has the address of a pool.

    `Engine.__init__` cannot be wrapped: `create_engine()` reads its signature to find arguments.
    """
    dialect: Any = Dialect
    original = dialect.__dict__["engine_created"]
    engine_made = hooks.contained(hooks.engine_made)

    def engine_created(cls: Any, engine: Any) -> None:
        original.__get__(None, cls)(engine)
        engine_made(engine, sys._getframe())

    dialect.engine_created = classmethod(looking_like(original.__func__, engine_created))

    def restore() -> None:
        dialect.engine_created = original

    return restore


def releasing_row(
    original: Callable[[Any, bool], None], hooks: SqlalchemyHooks
) -> Callable[[Any, bool], None]:
    """Return an engine's `dispose` that lets the next pool take the row.

    A listener of the engine's event would make each statement of the application slower, because
    SQLAlchemy then dispatches all events of all engines.
    """
    disposed = hooks.contained(hooks.engine_disposed)

    def dispose(self: Any, close: bool = True) -> None:
        original(self, close)
        disposed(self)

    return dispose


def _existing_engines() -> list[sqlalchemy.Engine]:
    return [found for found in gc.get_objects() if type(found) is sqlalchemy.Engine]
