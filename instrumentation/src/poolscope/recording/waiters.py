"""Describe the callers that wait for a connection, while they are blocked."""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple
from weakref import ref

from poolscope.catalogue import Phase
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import Owner, running_loop, task_of

CALLER_PHASES = (Phase.QUEUE, Phase.CONNECT, Phase.PING)
"""The phases that callers are counted in.

Not `reset`: each return would pay for it. A connection counts as checked out until its reset has
ended, so a return that hangs there is a held checkout.
"""


class Waiter(NamedTuple):
    """A blocked caller: what it waits for, since when, and who it is.

    A liveness check comes before each checkout, so its waiter has no site: to find it would cost
    more than the rest.
    """

    phase: Phase
    since_s: float
    """By `clock.monotonic`."""
    site: Site
    owner: Owner
    request: Request | None


def blocked_caller(phase: Phase, since_s: float, site: Site, owner: Owner) -> Waiter:
    """Return the waiter for a caller at `site`, with the request that runs now."""
    return Waiter(phase, since_s, site, owner, CURRENT.get())


def make_pinging_caller() -> Callable[[float], Waiter]:
    """Return what makes the waiter for a caller whose connection is about to be tested.

    The names are local, and what `running_owner` does is written out, because a liveness check
    comes before each checkout.
    """
    loop_of, find_task, thread_ident, weak, request_of, new = (
        running_loop, task_of, threading.get_ident, ref, CURRENT.get, tuple.__new__,
    )  # fmt: skip
    waiter_class, phase, nowhere = Waiter, Phase.PING, UNKNOWN_SITE

    def pinging_caller(since_s: float) -> Waiter:
        loop = loop_of()
        task = find_task(loop) if loop is not None else None
        owner = thread_ident() if task is None else weak(task)
        return new(waiter_class, (phase, since_s, nowhere, owner, request_of()))

    return pinging_caller


def oldest_by_phase(waiters: Iterable[Waiter], now_s: float) -> dict[Phase, tuple[int, float]]:
    """Return for each phase how many callers wait, and the age of the oldest in seconds."""
    found = dict.fromkeys(CALLER_PHASES, (0, 0.0))
    for waiter in waiters:
        count, age_s = found[waiter.phase]
        found[waiter.phase] = count + 1, max(age_s, now_s - waiter.since_s)
    return found
