"""Detect sessions that several requests, tasks or threads use, even if no error is raised.

The wrapped methods are private: if one is missing, only its data is missing.
"""

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from sqlalchemy import exc, orm

from poolscope.adapters.common.patching import Undo, add_method, in_order, replace
from poolscope.adapters.sqlalchemy.hooks import SqlalchemyHooks
from poolscope.catalogue import SharedReason
from poolscope.recording.callsite import UNKNOWN_SITE
from poolscope.recording.requests import CURRENT
from poolscope.recording.session_use import reason_of_use

IsBusy = Callable[[Any], bool]

_TRANSACTION_ACTIVE = 1
"""`PQTRANS_ACTIVE` of libpq: a statement is in progress."""


def watch_shared_sessions(hooks: SqlalchemyHooks) -> Undo:
    """Watch every session of the process; return the function that ends it."""
    transaction, contain = orm.SessionTransaction, hooks.contain

    def put(name: str, measured: Callable[[Any, SqlalchemyHooks], Any]) -> Undo:
        return replace(transaction, name, lambda original: measured(original, hooks), contain)

    return in_order(
        [
            put("_connection_for_bind", watched_use),
            put("_raise_for_prerequisite_state", reporting_provisioning),
            add_method(exc.IllegalStateChangeError, "__init__", reporting_state_change(hooks)),
        ]
    )


def watched_use(  # noqa: C901 - runs at each statement of a session: a call more would cost
    original: Callable[..., Any], hooks: SqlalchemyHooks
) -> Callable[..., Any]:
    """Return `SessionTransaction._connection_for_bind` that checks the users of the connection."""
    request_of, contain, shared = CURRENT.get, hooks.contain, hooks.note_shared
    is_busy_by_class: dict[type, IsBusy] = {}

    def _connection_for_bind(self: Any, bind: Any, execution_options: Any) -> Any:
        connection = original(self, bind, execution_options)
        try:
            fairy = connection._dbapi_connection
            slot = fairy._connection_record._poolscope
        except AttributeError:
            return connection  # its pool is not watched, or it was closed or invalidated
        try:
            out = slot.out
            if out is not None:
                raw = fairy.dbapi_connection
                kind = type(raw)
                is_busy = is_busy_by_class.get(kind)
                if is_busy is None:
                    is_busy = is_busy_by_class[kind] = busy_reader(raw)
                request = request_of()
                if is_busy(raw):
                    shared(slot, out[2], SharedReason.AT_ONCE)
                elif request is None or request is not out[3]:
                    reason = reason_of_use(slot.use_of(out), out[3], request)
                    if reason is not None:
                        shared(slot, out[2], reason)
        except Exception as error:  # noqa: BLE001 - inline: runs at each statement of a session
            contain(error)
        return connection

    return _connection_for_bind


def busy_reader(connection: Any) -> IsBusy:
    """Return a function that returns whether a driver's connection runs a statement now.

    It reads the locks that a driver, or SQLAlchemy's adapter of it, holds during a statement. The
    lock of an adapter is read last, because an adapter may have a lock that it does not use.
    """
    if hasattr(getattr(connection, "_connection", None), "lock"):
        return lambda raw: bool(raw._connection.lock.locked())
    if hasattr(connection, "_execute_mutex"):
        return lambda raw: bool(raw._execute_mutex.locked())
    if hasattr(getattr(connection, "lock", None), "locked"):
        return lambda raw: bool(raw.lock.locked())
    if hasattr(connection, "get_transaction_status"):
        return lambda raw: bool(raw.get_transaction_status() == _TRANSACTION_ACTIVE)
    return lambda _: False


def reporting_provisioning(original: Callable[..., Any], hooks: SqlalchemyHooks) -> Any:
    """Return the check that raises if a session is taking its connection for another caller."""
    note = hooks.contained(_note_error)

    def _raise_for_prerequisite_state(self: Any, operation_name: str, state: Any) -> Any:
        if getattr(state, "name", "") == "PROVISIONING_CONNECTION":
            note(hooks, self)
        return original(self, operation_name, state)

    return _raise_for_prerequisite_state


def reporting_state_change(hooks: SqlalchemyHooks) -> Callable[..., None]:
    """Return an error's `__init__` that reports a session with a method that has not returned.

    The session raises it before a driver would; the frames lead to the session.
    """
    note = hooks.contained(_note_state_change)

    def __init__(  # noqa: N807 - the class inherits this method
        self: Any, *args: Any, **kwargs: Any
    ) -> None:
        super(exc.IllegalStateChangeError, self).__init__(*args, **kwargs)
        note(hooks, sys._getframe(1))

    return __init__


def _note_state_change(hooks: SqlalchemyHooks, frame: FrameType) -> None:
    found = transaction_in(frame)
    if found is not None:
        _note_error(hooks, found)


def _note_error(hooks: SqlalchemyHooks, transaction: Any) -> None:
    bind = transaction.session.get_bind()
    stats = getattr(bind.engine.pool, "_poolscope", None)
    if stats is not None:
        hooks.note_shared_error(stats, _taken_at(transaction))


def transaction_in(frame: FrameType) -> Any:
    """Return the transaction that raised in one of its methods; None if it called itself.

    An event listener that commits within a flush raises the same error, in one task.
    """
    found, entered = None, 0
    current: FrameType | None = frame
    while current is not None:
        own = current.f_locals.get("self") if _is_of_orm(current.f_code) else None
        if isinstance(own, orm.SessionTransaction):
            found = found or own
            entered += own is found and current.f_code.co_name == "_go"
        current = current.f_back
    return found if entered <= 1 else None


def _is_of_orm(code: CodeType) -> bool:
    return "sqlalchemy" in code.co_filename


def _taken_at(transaction: Any) -> Any:
    for connection, *_ in transaction._connections.values():
        slot = getattr(connection._dbapi_connection._connection_record, "_poolscope", None)
        if slot is not None and slot.out is not None:
            return slot.out[2]
    return UNKNOWN_SITE
