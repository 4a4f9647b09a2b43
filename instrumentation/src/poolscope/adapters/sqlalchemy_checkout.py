"""Measure a checkout of SQLAlchemy: the hot path, where each microsecond is the application's."""

import asyncio
import sys
import threading
from asyncio import current_task
from bisect import bisect_left
from collections.abc import Callable
from typing import Any
from weakref import ref

from poolscope.adapters.sqlalchemy_hooks import Hooks
from poolscope.callsite import find_site
from poolscope.clock import monotonic
from poolscope.pool import PoolStats, next_checkout_id
from poolscope.requests import CURRENT
from poolscope.tracing import current_context

Connect = Callable[[Any], Any]


def measured_connect(original: Connect, hooks: Hooks) -> Connect:
    """Return `Pool.connect` with the checkout measured around it.

    Whatever goes wrong after `original` has returned must not lose the connection: that would be
    a slot of the pool for good.
    """
    now, contain, note = monotonic, hooks.contain, _noter(hooks)

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
            note(stats, fairy, asked, now())
        except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
            contain(error)
        return fairy

    return connect


def _noter(hooks: Hooks) -> Callable[[PoolStats, Any, float, float], None]:
    """Return what notes a checkout; its names are local because looking up globals costs."""
    get_frame, running_loop = sys._getframe, asyncio._get_running_loop
    thread_ident, task_of, next_id, bisect = (
        threading.get_ident, current_task, next_checkout_id, bisect_left
    )  # fmt: skip
    request_of, context_of = CURRENT.get, current_context

    def note(stats: PoolStats, fairy: Any, asked: float, got: float) -> None:
        record = fairy._connection_record
        try:
            slot = record._poolscope
        except AttributeError:
            slot = hooks.new_slot(stats, record)
        if fairy._counter != 1:  # SingletonThreadPool handed out what this thread has already
            return
        loop = running_loop()
        task = task_of(loop) if loop is not None else None
        if stats.is_async:
            site = find_site(get_frame(2), hooks.parent_frame())
        else:
            site = find_site(get_frame(2))
            if loop is not None:
                stats.blocking += 1
        slot.out = (
            next_id(), got, site, request_of(),
            thread_ident() if task is None else ref(task),
            context_of(), record.fairy_ref,
        )  # fmt: skip
        wait, waited = stats.wait, got - asked
        wait.counts[bisect(wait.bounds, waited)] += 1
        wait.sum += waited
        if wait.buffer is not None:
            wait.keep(waited)
        if stats.pre_ping:
            hooks.pinged(stats, slot, waited)

    return note
