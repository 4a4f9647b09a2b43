"""Attach to every SQLAlchemy pool of the process, sync and async, made before or after.

One wrapper around `Pool.connect` sees each checkout from asking to getting, failures included; the
pool's class-level events see its end. Two wrappers per pool instance (`pool._pool.get` and
`pool._invoke_creator`, private but unchanged from SQLAlchemy 1.4 to 2.1) tell queueing from
connecting; they are attached at a pool's first use, so they survive `dispose()`.

Where a private name is missing, as it may be in a future version, what public events tell is
measured all the same: checkouts, use time, leaks, who holds what; not the wait.
"""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy
from sqlalchemy import event, orm
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import Pool

from poolscope.adapters.sqlalchemy.checkout import (
    checkout_listener,
    measured_connect,
    measured_return,
)
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.recording.registry import Registry

POOL_EVENTS = ("connect", "detach", "invalidate", "close")

Undo = Callable[[], None]


def install(registry: Registry) -> Undo:
    """Attach to every pool, and return what detaches from all of them."""
    hooks = SqlalchemyHooks(registry)
    undo = [
        _listen(Pool, name, registry.contained(getattr(hooks, f"on_{name}")))
        for name in POOL_EVENTS
    ]
    undo += [_watch_shared_sessions(hooks)]
    undo += [
        _measure_checkouts(hooks),
        _measure_returns(hooks),
        _watch_new_engines(hooks),
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
        hooks.contain(AttributeError(f"SQLAlchemy has no {', '.join(missing)}: no wait times"))
        return _listen(Pool, "checkout", checkout_listener(hooks))
    return _Wrappers(hooks).restore


def _measure_returns(hooks: SqlalchemyHooks) -> Undo:
    """See each return: by the method that all of them pass, or else by the event before it.

    The event costs an application almost a microsecond per checkout, which the method does not.
    """
    pool: Any = Pool
    original = pool.__dict__.get("_return_conn")
    if original is None:
        return _listen(Pool, "checkin", hooks.on_checkin)
    pool._return_conn = measured_return(original, hooks)

    def restore() -> None:
        pool._return_conn = original

    return restore


def missing_names() -> list[str]:
    """Return the private names that measuring a wait relies on and that are not there."""
    from sqlalchemy.pool import base  # noqa: PLC0415 - a private place, read where it is needed

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
    """The wrappers around `connect`: of `Pool`, and of each subclass that has its own."""

    def __init__(self, hooks: SqlalchemyHooks) -> None:
        self._hooks = hooks
        self._originals: dict[type, Any] = {}
        for pool_class in {Pool, *_subclasses(Pool)}:
            self.wrap(pool_class)
        # A class that is defined later is wrapped when we attach to the first pool of it.
        hooks.on_class = self.wrap_all

    def restore(self) -> None:
        """Put back what was there."""
        for pool_class, original in self._originals.items():
            pool_class.connect = original  # type: ignore[attr-defined]

    def wrap_all(self, pool_class: type) -> None:
        """Wrap a class and its parents."""
        for each in pool_class.__mro__:
            self.wrap(each)

    def wrap(self, pool_class: type) -> None:
        """Wrap the class's own `connect`, if it has one."""
        original = pool_class.__dict__.get("connect")
        if original is not None and pool_class not in self._originals:
            self._originals[pool_class] = original
            wrapper = measured_connect(original, self._hooks, is_base=pool_class is Pool)
            pool_class.connect = wrapper  # type: ignore[attr-defined]


def _subclasses(pool_class: type) -> Iterator[type]:
    subclasses: list[type] = pool_class.__subclasses__()
    for subclass in subclasses:
        yield subclass
        yield from _subclasses(subclass)


def _listen(target: type, name: str, listener: Callable[..., None]) -> Undo:
    event.listen(target, name, listener)
    return lambda: event.remove(target, name, listener)


def _watch_new_engines(hooks: SqlalchemyHooks) -> Undo:
    """See each engine as it is made: a pool does not know its engine, and so not its address.

    Not by `Engine.__init__`: `create_engine()` reads from its signature which arguments it has.
    """
    dialect: Any = Dialect
    original = dialect.__dict__["engine_created"]
    attach_engine = hooks.contained(hooks.attach_engine)

    def engine_created(cls: Any, engine: Any) -> None:
        original.__get__(None, cls)(engine)
        attach_engine(engine)

    dialect.engine_created = classmethod(engine_created)

    def restore() -> None:
        dialect.engine_created = original

    return restore


def _watch_shared_sessions(hooks: SqlalchemyHooks) -> Undo:
    """See the error of a session that two tasks use at once.

    Every driver's: the session itself notices, before the driver would. The seam is private, and
    without it this one signal is missing.
    """
    transaction: Any = orm.SessionTransaction
    original = transaction.__dict__.get("_raise_for_prerequisite_state")
    if original is None:
        return lambda: None
    on_session_error = hooks.contained(hooks.on_session_error)

    def raise_for_state(self: Any, operation: str, state: Any) -> Any:
        on_session_error(self, state)
        return original(self, operation, state)

    transaction._raise_for_prerequisite_state = raise_for_state

    def restore() -> None:
        transaction._raise_for_prerequisite_state = original

    return restore


def _existing_engines() -> list[sqlalchemy.Engine]:
    return [found for found in gc.get_objects() if type(found) is sqlalchemy.Engine]
