"""Note that a connection was taken: the hot path, in which each microsecond costs the app."""

from collections.abc import Callable, Iterable
from types import FrameType
from typing import Protocol
from weakref import ref

from poolscope.catalogue import Phase
from poolscope.recording.callsite import UNKNOWN_SITE, Site, find_site, known_sites
from poolscope.recording.pool import (
    NOTED_LIMIT,
    Alive,
    OpenCheckout,
    PoolStats,
    Slot,
    next_checkout_id,
)
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import (
    Owner,
    ThreadOwner,
    hidden_greenlets,
    is_gone,
    running_loop,
    task_of,
    this_thread,
)
from poolscope.recording.tracing import current_context
from poolscope.recording.waiters import Waiter

Caller = tuple[Site, Owner]
"""The caller that asks for a connection: its call site, and its task or thread.

It is recorded when a library makes an awaitable. `asyncio.wait_for` (until Python 3.11) and
`gather` then await it in another task. That task ends at once and has no application line on its
stack. As the owner, it would make a healthy checkout look like a leak.
"""


IsIdle = Callable[[ThreadOwner], bool]
"""Returns whether a living thread runs no code of the application."""


class RecordCheckout(Protocol):
    """A function that notes a checkout: its owner, its start, and the wait for it."""

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

        `frame` is the running frame. In a greenlet, `outer` is the frame that awaits the greenlet.
        """


def make_find_caller() -> Callable[[FrameType], Caller]:
    """Return a function that finds the call site of a frame, and the task that runs now."""
    loop_of, thread, find_task, weak, known_site, site_of = (
        running_loop, this_thread, task_of, ref, known_sites.get, find_site,
    )  # fmt: skip

    def find_caller(frame: FrameType) -> Caller:
        loop = loop_of()
        task = find_task(loop) if loop is not None else None
        return (
            known_site(id(frame.f_code) + frame.f_lasti) or site_of(frame),
            thread.owner if task is None else weak(task),
        )

    return find_caller


def make_record_checkout() -> RecordCheckout:
    """Return the function that notes a checkout.

    The names are local because looking up globals costs time. The function may raise, so its
    callers must contain the error.
    """
    loop_of, find_task, thread, next_id, site_of, request_of, context_of, weak = (
        running_loop, task_of, this_thread, next_checkout_id, find_site, CURRENT.get,
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
            if site is nowhere:  # called inside a greenlet, but awaited by the application
                site = site_of(frame)
        else:
            loop = loop_of()
            task = find_task(loop) if loop is not None else None
            owner = thread.owner if task is None else weak(task)
            known = frame and known_site(id(frame.f_code) + frame.f_lasti)
            site = known or site_of(frame, outer)
            if loop is not None and not stats.is_async:
                stats.blocking += 1
        if slot.out is not None:
            # A StaticPool lends its one connection again while it is out: count both checkouts.
            stats.end(slot, got_s)
        slot.out = next_id(), got_s, site, request_of(), owner, context_of(), alive
        waits, waited_s = stats.waits, got_s - began_s
        waits.append(waited_s)
        if len(waits) > limit:
            stats.count()
        if waited_s >= stats.slow.slow_s:
            stats.slow.note_wait(began_s, got_s)

    return record_checkout


def count_nested(stats: PoolStats, waiter_id: int) -> None:
    """Count a waiter, noted just now, that already holds a connection of the same pool."""
    waiter = stats.waiting.get(waiter_id)
    if waiter is not None and holds_another(stats, waiter):
        stats.nested += 1


def holds_another(stats: PoolStats, waiter: Waiter) -> bool:
    """Return whether a waiter already holds a connection of this pool.

    Only for callers that are blocked anyway. If enough requests or tasks each hold a connection
    and wait for another one of the same pool, they deadlock.
    """
    outs = [slot.out for slot in list(stats.slots.values())]
    return any(out is not None and _is_holder(out[3], out[4], waiter) for out in outs)


def held_by_waiters(
    checkouts: Iterable[OpenCheckout], waiters: Iterable[Waiter], is_idle: IsIdle
) -> int:
    """Return how many checkouts of a pool are held by callers that wait in its queue.

    An outage may have thousands of waiters. So a holder is compared only with the waiters of the
    same request, and of the same task or thread.
    """
    queued: dict[int, list[Waiter]] = {}
    for waiter in waiters:
        if waiter.phase is Phase.QUEUE:
            for key in _caller_keys(waiter.request, waiter.owner):
                queued.setdefault(key, []).append(waiter)
    return sum(
        any(
            _is_held_up(held, waiter, is_idle)
            for key in _caller_keys(held.request, held.owner)
            for waiter in queued.get(key, ())
        )
        for held in checkouts
    )


def _is_held_up(held: OpenCheckout, waiter: Waiter, is_idle: IsIdle) -> bool:
    """Return whether a holder cannot return its connection before the waiter gets one.

    A request may run several tasks at once, each with a connection: then the holder continues
    while the others wait. The holder is held up in two cases. First, it waits itself. Second, the
    task or thread that took the connection has ended or is idle, and the task or thread that
    serves the request waits.
    """
    request, owner = held.request, held.owner
    if not _is_holder(request, owner, waiter):
        return False
    if request is None or request is not waiter.request or owner == waiter.owner:
        return True
    serves_it = isinstance(waiter.owner, ThreadOwner) or waiter.owner == request.task
    is_free = is_gone(owner) or (isinstance(owner, ThreadOwner) and is_idle(owner))
    return serves_it and is_free


def _caller_keys(request: Request | None, owner: Owner) -> list[int]:
    """Return the identities of a caller's request, and of its thread or of its task if alive."""
    found = request, owner if isinstance(owner, ThreadOwner) else owner()
    return [id(each) for each in found if each is not None]


def _is_holder(request: Request | None, owner: Owner, waiter: Waiter) -> bool:
    """Return whether the waiter is the holder of a connection, taken by `owner` for `request`.

    A thread of a pool serves one request after another. A request may take a connection in one
    thread and return it in another. So among requests, only the request identifies the caller.
    """
    if request is waiter.request:
        is_in_flight = request is not None and request.finished_at_s is None
        return is_in_flight or (owner == waiter.owner and _is_one_caller(owner))
    if request is not None and (request.long_lived or waiter.request is not None):
        return False
    # Only one of them is in a request: a task that started or awaits the request is one caller.
    return not isinstance(owner, ThreadOwner) and owner == waiter.owner


def _is_one_caller(owner: Owner) -> bool:
    """Return whether an owner is certainly one caller: a thread may run many greenlets."""
    return not isinstance(owner, ThreadOwner) or hidden_greenlets() is None
