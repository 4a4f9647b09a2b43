"""Measure a checkout of SQLAlchemy, around `Pool.connect`."""

import sys
from collections.abc import Callable
from typing import Any

from poolscope.adapters.sqlalchemy_hooks import Hooks
from poolscope.adapters.sqlalchemy_pools import parent_frame_reader
from poolscope.clock import monotonic
from poolscope.taking import make_take

Connect = Callable[[Any], Any]


def measured_connect(original: Connect, hooks: Hooks) -> Connect:
    """Return `Pool.connect` with the checkout measured around it.

    Whatever goes wrong after `original` has returned must not lose the connection: that would be
    a slot of the pool for good.
    """
    now, get_frame, contain = monotonic, sys._getframe, hooks.contain
    take = make_take(parent_frame_reader())

    def connect(self: Any) -> Any:
        try:
            stats = self._poolscope
        except AttributeError:
            stats = hooks.attach(self)
        if stats is None:
            return original(self)
        asked = now()
        try:
            fairy = original(self)
        except BaseException as error:
            hooks.failed(stats, error)
            raise
        try:
            got, record = now(), fairy._connection_record
            slot = record.__dict__.get("_poolscope") or hooks.new_slot(stats, record)
            if fairy._counter == 1:  # else SingletonThreadPool's, which this thread has already
                take(stats, slot, asked, got, get_frame(1), record.fairy_ref)
                if stats.pre_ping:
                    hooks.pinged(stats, slot, got - asked)
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
            contain(error)
        return fairy

    return connect
