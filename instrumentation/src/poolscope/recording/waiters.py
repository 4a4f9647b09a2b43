"""Describe the callers that wait for a connection, while they are blocked."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple
from weakref import ref

from poolscope.catalogue import Phase, ServingAge
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.requests import CURRENT, Request
from poolscope.recording.tasks import Owner, running_loop, task_of, this_thread

CALLER_PHASES = (Phase.QUEUE, Phase.CONNECT, Phase.PING)
"""The phases in which waiting callers are counted.

Resets are not counted, because each return would pay for it. A connection counts as checked out
until its reset has ended, so a return that hangs there is a held checkout.
"""


class Waiter(NamedTuple):
    """A blocked caller: the phase, start, call site, owner and request of its wait.

    A liveness check comes before each checkout, so its waiter has no call site: to find the site
    would cost more than the rest.
    """

    phase: Phase
    since_s: float
    """By `clock.monotonic`."""
    site: Site
    owner: Owner
    request: Request | None


FIRST_S: Final = 60.0
"""How long a process counts as new, from the first request that took a connection of the pool."""


class RequestWaits:
    """Counts of the checkouts of requests, and of those requests' waits for a new connection.

    The age of a process is counted from the first request that uses the pool: a process that
    starts slowly serves nobody until then. Connections that open earlier do not belong to a
    request.
    """

    def __init__(self) -> None:
        self.checkouts: Counter[ServingAge] = Counter()
        self.connect_waits: Counter[ServingAge] = Counter()
        self._first_at_s: float | None = None

    def count_taken(self, taken_at_s: Sequence[float]) -> None:
        """Count checkouts of requests by the time at which they began."""
        if not taken_at_s:
            return
        earliest_s = min(taken_at_s)
        if self._first_at_s is None:
            self._first_at_s = earliest_s
        over_at_s = self._first_at_s + FIRST_S
        if earliest_s >= over_at_s:
            later = len(taken_at_s)  # the usual case, without a loop over the checkouts
        else:
            later = sum(at_s >= over_at_s for at_s in taken_at_s)
        self.checkouts[ServingAge.LATER] += later
        self.checkouts[ServingAge.FIRST_MINUTE] += len(taken_at_s) - later

    def count_connect_wait(self, waiter: Waiter | None) -> None:
        """Count a caller after its new connection is open; None means that nobody waited."""
        request = waiter.request if waiter is not None else None
        if waiter is None or request is None or not request.counts_as_request:
            return
        if self._first_at_s is None:
            self._first_at_s = waiter.since_s
        is_over = waiter.since_s >= self._first_at_s + FIRST_S
        self.connect_waits[ServingAge.LATER if is_over else ServingAge.FIRST_MINUTE] += 1


def blocked_caller(phase: Phase, since_s: float, site: Site, owner: Owner) -> Waiter:
    """Return the waiter for a caller at `site`, with the request that runs now."""
    return Waiter(phase, since_s, site, owner, CURRENT.get())


def make_pinging_caller() -> Callable[[float], Waiter]:
    """Return a function that makes the waiter for a caller before its connection is tested.

    A liveness check comes before each checkout. So the names are local, and `running_owner` is
    inlined.
    """
    loop_of, find_task, thread, weak, request_of, new = (
        running_loop, task_of, this_thread, ref, CURRENT.get, tuple.__new__,
    )  # fmt: skip
    waiter_class, phase, nowhere = Waiter, Phase.PING, UNKNOWN_SITE

    def pinging_caller(since_s: float) -> Waiter:
        loop = loop_of()
        task = find_task(loop) if loop is not None else None
        owner = thread.owner if task is None else weak(task)
        return new(waiter_class, (phase, since_s, nowhere, owner, request_of()))

    return pinging_caller


def oldest_by_phase(waiters: Iterable[Waiter], now_s: float) -> dict[Phase, tuple[int, float]]:
    """Return for each phase the number of waiting callers and the age of the oldest, in seconds."""
    found = dict.fromkeys(CALLER_PHASES, (0, 0.0))
    for waiter in waiters:
        count, age_s = found[waiter.phase]
        found[waiter.phase] = count + 1, max(age_s, now_s - waiter.since_s)
    return found
