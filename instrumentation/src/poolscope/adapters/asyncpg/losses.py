"""Find the reason why a connection of asyncpg's pool was lost, which the pool does not get.

If the connection is gone, the protocol first makes the holder release it. In the same call, it then
makes the error of the statement that ran, with the server's last message as its cause. So the
reason is counted in the next call of the event loop.
"""

import sys
import threading
from typing import Any

from asyncpg import Connection, ConnectionDoesNotExistError  # type: ignore[import-untyped]

from poolscope.adapters.common.calling_frames import frame_running
from poolscope.adapters.common.patching import Undo, add_method
from poolscope.catalogue import InvalidationReason
from poolscope.recording.driver_errors.invalidations import (
    classify_invalidation,
    classify_loss,
    classify_silent_loss,
)
from poolscope.recording.drivers import was_in_transaction
from poolscope.recording.pool import PoolStats
from poolscope.recording.registry import Registry

_CLOSING_METHODS = ("close", "terminate")


class LostConnection:
    """A connection that was lost in use, and the error of the statement that ran, if one did."""

    __slots__ = ("error", "in_transaction", "stats")

    def __init__(self, stats: PoolStats, in_transaction: bool | None) -> None:
        self.stats = stats
        self.in_transaction = in_transaction
        self.error: BaseException | None = None

    def reason(self) -> InvalidationReason:
        """Return why the connection was lost."""
        if self.error is None:
            return classify_silent_loss(self.in_transaction)
        return classify_invalidation(self.error, self.in_transaction)


class _LastLoss(threading.local):
    """The next loss of this thread to be counted: each thread may have an event loop."""

    loss: LostConnection | None = None


class Losses:
    """Counter of the reasons of lost connections; methods may raise, so callers contain errors."""

    def __init__(self, registry: Registry) -> None:
        self._last = _LastLoss()
        self._count = registry.contained(self._count_loss)
        self._error_made = registry.contained(self._note_error)
        methods = (getattr(Connection, name, None) for name in _CLOSING_METHODS)
        self._closing_codes = {method.__code__ for method in methods if method is not None}

    def watch_errors(self) -> Undo:
        """Note each error of a lost connection as it is made; return the function that ends it."""
        error_made = self._error_made

        def __init__(self: Any, *args: Any) -> None:  # noqa: N807 - the class inherits this method
            super(ConnectionDoesNotExistError, self).__init__(*args)
            error_made(self)

        return add_method(ConnectionDoesNotExistError, "__init__", __init__)

    def note_loss(self, stats: PoolStats, holder: Any) -> None:
        """Count why a holder's connection ends, or schedule the count until its error is made."""
        self._last.loss = None
        handled = sys.exc_info()[1]
        if handled is not None:  # for example a failed reset, which makes the pool close it
            reason = classify_loss(handled, holder._con)
        elif frame_running(self._closing_codes, sys._getframe()) is not None:
            reason = InvalidationReason.REQUESTED
        elif holder._in_use is None:
            reason = InvalidationReason.LOST_WHILE_IDLE
        else:
            loss = self._last.loss = LostConnection(stats, was_in_transaction(holder._con))
            holder._pool._loop.call_soon(self._count, loss)
            return
        stats.invalidated[reason] += 1

    def _note_error(self, error: BaseException) -> None:
        if self._last.loss is not None:
            self._last.loss.error = error

    def _count_loss(self, loss: LostConnection) -> None:
        if self._last.loss is loss:
            self._last.loss = None  # its error refers to the frames of the application
        loss.stats.invalidated[loss.reason()] += 1
