"""Count the errors of attributes that are not loaded: `MissingGreenlet`, `DetachedInstanceError`.

SQLAlchemy has no event for them, so each error is counted as it is made. This costs nothing in an
application without such errors, and no code of the ORM runs differently. An error that other code
makes is not counted, for example an error that is unpickled in another process.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy import Connection, Engine, Pool, exc
from sqlalchemy.orm import exc as orm_exc

from poolscope.adapters.common.patching import Undo, add_method, in_order, replace
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.catalogue import SessionErrorKind
from poolscope.recording.callsite import is_library
from poolscope.recording.pool import PoolStats

_KINDS: dict[type[Exception], SessionErrorKind] = {
    exc.MissingGreenlet: SessionErrorKind.MISSING_GREENLET,
    orm_exc.DetachedInstanceError: SessionErrorKind.DETACHED,
}
"""Both exist in SQLAlchemy 2.0.0."""


def watch_session_errors(hooks: SqlalchemyHooks) -> Undo:
    """Count the errors of the process from now on; return the function that ends it."""
    hooks.begin_session_errors()
    return in_order([_see_made(error, kind, hooks) for error, kind in _KINDS.items()])


def _see_made(error: type[Exception], kind: SessionErrorKind, hooks: SqlalchemyHooks) -> Undo:
    def reporting(original: Callable[..., None]) -> Callable[..., None]:
        return _reporting_made(original, kind, hooks)

    if "__init__" in vars(error):  # a future version, or another tool, may define it
        return replace(error, "__init__", reporting, hooks.contain)
    return add_method(error, "__init__", reporting(error.__init__))


def _reporting_made(
    original: Callable[..., None], kind: SessionErrorKind, hooks: SqlalchemyHooks
) -> Callable[..., None]:
    """Return an error's `__init__` that counts the error if SQLAlchemy makes it."""
    note = hooks.contained(_note_made)

    def __init__(  # noqa: N807 - it takes the place of the method
        self: Any, *args: Any, **kwargs: Any
    ) -> None:
        original(self, *args, **kwargs)
        note(hooks, kind, sys._getframe(1))

    return __init__


def _note_made(hooks: SqlalchemyHooks, kind: SessionErrorKind, frame: FrameType) -> None:
    if _is_of_sqlalchemy(frame):
        hooks.note_session_error(kind, _stats_behind(frame))


def _stats_behind(frame: FrameType) -> PoolStats | None:
    """Return the statistics of the pool that SQLAlchemy was using; None if it used none.

    The search ends at the application's frames: frames further out may use another pool.
    """
    current: FrameType | None = frame
    while current is not None and is_library(current.f_code.co_filename):
        user = current.f_locals.get("self") if _is_of_sqlalchemy(current) else None
        if isinstance(user, (Connection, Engine, Pool)):
            pool = user if isinstance(user, Pool) else user.engine.pool
            stats: PoolStats | None = getattr(pool, "_poolscope", None)
            return stats
        current = current.f_back
    return None


def _is_of_sqlalchemy(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("sqlalchemy.")
