"""Note that a connection was taken: the hot path, where each microsecond is the application's."""

import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol
from weakref import ref

from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site, known_sites
from poolscope.recording.pool import (
    NOTED_LIMIT,
    Alive,
    PoolStats,
    Slot,
    next_checkout_id,
)
from poolscope.recording.requests import CURRENT
from poolscope.recording.tasks import Owner, running_loop, running_owner, task_of
from poolscope.recording.tracing import current_context

Caller = tuple[Site, Owner]
"""The caller that asks for a connection: its place in the code, and its task or thread.

Where a library makes an awaitable first, `asyncio.wait_for` (until Python 3.11) and `gather` await
it in a task that ends at once and has no line of the application on its stack. Taken for the
owner, it would be evidence of a leak against a healthy checkout.
"""


class RecordCheckout(Protocol):
    """Notes a checkout: who has the connection, since when, and the wait for it."""

    def __call__(  # noqa: PLR0917 - keyword arguments would cost
        self,
        stats: PoolStats,
        slot: Slot,
        began_s: float,
        got_s: float,
        frame: FrameType | None,
        alive: Alive,
        outer: FrameType | None = None,
        caller: Caller | None = None,
    ) -> None:
        """Note a checkout by `caller`, or by the task that runs now.

        `frame` is what runs now; `outer`, what awaits the greenlet where it runs in one.
        """


def make_find_caller() -> Callable[[FrameType], Caller]:
    """Return the function that finds the caller: the line of a frame, the task that runs now."""
    loop_of, thread_ident, find_task, weak, known_site, site_of = (
        running_loop, threading.get_ident, task_of, ref, known_sites.get, find_site,
    )  # fmt: skip

    def find_caller(frame: FrameType) -> Caller:
        loop = loop_of()
        task = find_task(loop) if loop is not None else None
        return (
            known_site(id(frame.f_code) + frame.f_lasti) or site_of(frame),
            thread_ident() if task is None else weak(task),
        )

    return find_caller


def make_record_checkout() -> RecordCheckout:
    """Return the function that notes a checkout.

    The names are local because looking up globals costs; it may raise, so its callers contain it.
    """
    loop_of, find_task, thread_ident, next_id, site_of, request_of, context_of, weak = (
        running_loop, task_of, threading.get_ident, next_checkout_id, find_site, CURRENT.get,
        current_context, ref,
    )  # fmt: skip
    known_site, nowhere, limit = known_sites.get, UNKNOWN_SITE, NOTED_LIMIT

    def record_checkout(  # noqa: PLR0917 - keyword arguments would cost
        stats: PoolStats,
        slot: Slot,
        began_s: float,
        got_s: float,
        frame: FrameType | None,
        alive: Alive,
        outer: FrameType | None = None,
        caller: Caller | None = None,
    ) -> None:
        if caller is not None:
            site, owner = caller
            if site is nowhere:  # called inside of a greenlet, but awaited by the application
                site = site_of(frame)
        else:
            loop = loop_of()
            task = find_task(loop) if loop is not None else None
            owner = thread_ident() if task is None else weak(task)
            known = frame and known_site(id(frame.f_code) + frame.f_lasti)
            site = known or site_of(frame, outer)
            if loop is not None and not stats.is_async:
                stats.blocking += 1
        if slot.out is not None:
            # A StaticPool's one connection, taken while it is out: one checkout after another.
            stats.end(slot, got_s)
        slot.out = next_id(), got_s, site, request_of(), owner, context_of(), alive
        waits = stats.waits
        waits.append(got_s - began_s)
        if len(waits) > limit:
            stats.count()

    return record_checkout


def count_nested(stats: PoolStats) -> None:
    """Count a caller that is about to block while it holds a connection of the same pool."""
    if holds_another(stats):
        stats.nested += 1


def holds_another(stats: PoolStats) -> bool:
    """Return whether whoever runs now has a connection of this pool out already.

    For the blocked path only: a request or task that holds a connection and waits for another of
    the same pool deadlocks it once enough do so.
    """
    owner, request = running_owner(), CURRENT.get()
    outs = [slot.out for slot in stats.slots.copy().values()]
    return any(
        out is not None and (out[4] == owner or (request is not None and out[3] is request))
        for out in outs
    )
