"""Attach to every SQLAlchemy pool of the process, sync and async, made before or after.

One wrapper around `Pool.connect` sees each checkout from asking to getting, failures included; the
pool's class-level events see its end. Two wrappers per pool instance (`pool._pool.get` and
`pool._invoke_creator`, private but unchanged from SQLAlchemy 1.4 to 2.1) tell queueing from
connecting; they are attached at a pool's first use, so they survive `dispose()`.
"""

import gc
from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.pool import Pool, SingletonThreadPool

from poolscope.adapters.sqlalchemy_checkout import measured_connect
from poolscope.adapters.sqlalchemy_hooks import Hooks
from poolscope.registry import Registry

REQUIRES = "sqlalchemy"

EVENTS = ("connect", "checkin", "detach", "invalidate", "close")


def install(registry: Registry) -> Callable[[], None]:
    """Attach to every pool, and return what detaches from all of them."""
    hooks = Hooks(registry)
    undo = [_wrap_connect(hooks, Pool), _wrap_connect(hooks, SingletonThreadPool)]
    undo += [_listen(name, getattr(hooks, f"on_{name}")) for name in EVENTS]
    undo += [_watch_new_engines(hooks), hooks.detach_all]
    registry.on_fork.append(hooks.forget_attachments)
    for engine in _existing_engines():
        hooks.attach_engine(engine)

    def uninstall() -> None:
        for step in undo:
            step()

    return uninstall


def _wrap_connect(hooks: Hooks, pool_class: Any) -> Callable[[], None]:
    original = pool_class.__dict__["connect"]
    pool_class.connect = measured_connect(original, hooks)

    def restore() -> None:
        pool_class.connect = original

    return restore


def _listen(name: str, listener: Callable[..., None]) -> Callable[[], None]:
    event.listen(Pool, name, listener)
    return lambda: event.remove(Pool, name, listener)


def _watch_new_engines(hooks: Hooks) -> Callable[[], None]:
    """See each engine as it is made: a pool does not know its engine, and so not its address."""
    engine_class: Any = sqlalchemy.Engine
    original = engine_class.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        hooks.attach_engine(self)

    engine_class.__init__ = __init__

    def restore() -> None:
        engine_class.__init__ = original

    return restore


def _existing_engines() -> list[sqlalchemy.Engine]:
    return [found for found in gc.get_objects() if type(found) is sqlalchemy.Engine]
