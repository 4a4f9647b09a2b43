"""Decide whether a checkout has leaked, from the life of its owner."""

import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from poolscope import catalogue
from poolscope.catalogue import EVIDENCE_AFTER_S, Evidence, OwnerKind, UnitKind
from poolscope.recording.callsite import UNKNOWN_SITE, Site, is_between_jobs, is_library
from poolscope.recording.pool import CollectedCheckout, OpenCheckout
from poolscope.recording.requests import Request
from poolscope.recording.tasks import Owner, ThreadOwner, hidden_greenlets, is_gone

_Result = TypeVar("_Result")

_pauses: deque[None] = deque()
"""One item for each thread that now prevents garbage collections; of the process, as they are."""

MAX_SERIES = 16
"""Most pairs of route and call site that a pool's leak counters separate; more are `other`."""

THREADS_LOOKED_AT_AFTER_S = 5.0
"""Minimum age of a checkout before its thread's stack is read: most are returned earlier."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A checkout that apparently leaked, with its first evidence."""

    evidence: Evidence
    route: str | None
    site: Site
    held_s: float | None


LeakKey = tuple[Evidence, str, str]
"""Evidence, route and call site of a leak counter; route and site are empty if unknown."""


def kind_of_owner(owner: Owner, request: Request | None) -> OwnerKind:
    """Return the kind of owner that asks for or took a connection: a unit of work if any."""
    if request is not None and request.long_lived:
        return OwnerKind.LONG_LIVED
    if request is not None:
        return OwnerKind.REQUEST if request.kind is UnitKind.REQUEST else OwnerKind.JOB
    return OwnerKind.THREAD if isinstance(owner, ThreadOwner) else OwnerKind.TASK


def gone_owner(
    checkout: OpenCheckout, threads: dict[int, FrameType], now_s: float
) -> Evidence | None:
    """Return the evidence that no owner is left to return the connection, else None.

    A request or job has ended, but the task or thread that took the connection may still run. Then
    there is no evidence, because background work is no leak. `threads` is `sys._current_frames()`.
    """
    request, owner = checkout.request, checkout.owner
    if request is not None and request.long_lived:
        return None
    if request is not None and request.finished_at_s is not None:
        of_request = request.kind is UnitKind.REQUEST
        evidence = Evidence.REQUEST_FINISHED if of_request else Evidence.JOB_FINISHED
        return None if _still_works(owner, request, threads) else evidence
    # A command may run for as long as its process, so its tasks and threads are judged, too.
    if request is not None and request.kind is not UnitKind.COMMAND:
        return None
    if not is_gone(owner):
        return Evidence.THREAD_IDLE if _is_back_in_pool(checkout, threads, now_s) else None
    return Evidence.THREAD_FINISHED if isinstance(owner, ThreadOwner) else Evidence.TASK_FINISHED


def _still_works(owner: Owner, request: Request, threads: dict[int, FrameType]) -> bool:
    if is_gone(owner) or owner is request.thread:  # the thread went on to the next job
        return False
    if isinstance(owner, ThreadOwner):
        frame = threads.get(owner.ident)
        return frame is None or _is_at_work(frame)  # a living greenlet has no stack there
    # A server may run a request in a task that outlives it: then the end of the request counts.
    own = request.task() if request.task is not None else None
    return owner() is not own


def _is_back_in_pool(checkout: OpenCheckout, threads: dict[int, FrameType], now_s: float) -> bool:
    """Return whether the thread that took a connection long ago now waits for its next job.

    The workers of a WSGI server, a scheduler or a thread pool stay alive. They keep what a job
    left in its thread, such as a `scoped_session` that nobody removes.
    """
    if not isinstance(checkout.owner, ThreadOwner) or not _is_old(checkout, now_s):
        return False
    frame = threads.get(checkout.owner.ident)
    # Between two greenlets, the thread runs their library, but the greenlets are not idle.
    return frame is not None and hidden_greenlets() is None and is_between_jobs(frame)


def _is_old(checkout: OpenCheckout, now_s: float) -> bool:
    return now_s - checkout.taken_at_s >= THREADS_LOOKED_AT_AFTER_S


def _is_at_work(start: FrameType) -> bool:
    """Return whether application code is on the stack of a (pooled) worker thread.

    The function that took the connection may have returned already: a helper, or a generator
    behind a `with`. If the worker is busy with another job, the evidence is late, but not wrong.
    """
    frame: FrameType | None = start
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


class LeakDetector:
    """The leaks of one pool, used by the watcher and the pusher.

    Each checkout counts once, with its first evidence. `leaked` and `recovered` count by
    `LeakKey`.
    """

    def __init__(self) -> None:
        self.leaked: Counter[LeakKey] = Counter()
        self.recovered: Counter[LeakKey] = Counter()
        self._gone_since_s: dict[int, float] = {}
        self._counted: dict[int, LeakKey] = {}

    def evidence_of(self, checkout_id: int) -> Evidence | None:
        """Return the evidence that makes an open checkout a leak; None if it is no leak."""
        key = self._counted.get(checkout_id)
        return key[0] if key is not None else None

    def scan(
        self,
        checkouts: Sequence[OpenCheckout],
        collected: Sequence[CollectedCheckout],
        now_s: float,
    ) -> list[Leak]:
        """Check all open checkouts, and those collected since the last scan; return new leaks."""
        if not (checkouts or collected or self._counted or self._gone_since_s):
            return []  # an idle pool, which is scanned every second
        # Collected checkouts come first: they are no longer among `checkouts`.
        leaks = [leak for item in collected if (leak := self._collect(item))]
        alive = {checkout.id: checkout for checkout in checkouts}
        self.count_recovered(alive)

        def judge(threads: dict[int, FrameType]) -> list[Leak | None]:
            return [self._judge(checkout, threads, now_s) for checkout in alive.values()]

        # Read the stacks only if the decision about a checkout needs them.
        is_needed = any(_needs_stack(checkout, now_s) for checkout in alive.values())
        judged = read_frames(judge) if is_needed else judge({})
        return leaks + [leak for leak in judged if leak is not None]

    def _collect(self, item: CollectedCheckout) -> Leak | None:
        if item.id in self._counted:
            return None  # it leaked before, with other evidence; now it counts as recovered
        route = item.request.route if item.request is not None else None
        leak = Leak(Evidence.GARBAGE_COLLECTED, route, item.site, None)
        self.leaked[self._key(leak)] += 1
        return leak

    def count_recovered(self, alive: Container[int]) -> None:
        """Count the leaks that are no longer open; `alive` has the ids of the open checkouts."""
        for identifier in [i for i in self._counted if i not in alive]:
            self.recovered[self._counted.pop(identifier)] += 1
        for identifier in [i for i in self._gone_since_s if i not in alive]:
            del self._gone_since_s[identifier]

    def _judge(
        self, checkout: OpenCheckout, threads: dict[int, FrameType], now_s: float
    ) -> Leak | None:
        if checkout.id in self._counted:
            return None
        evidence = gone_owner(checkout, threads, now_s)
        if evidence is None:
            self._gone_since_s.pop(checkout.id, None)  # an idle worker has a job again
            return None
        since_s = self._gone_since_s.setdefault(checkout.id, _gone_since(checkout, now_s))
        if now_s - since_s < EVIDENCE_AFTER_S[evidence]:
            return None
        route = checkout.request.route if checkout.request else None
        leak = Leak(evidence, route, checkout.site, now_s - checkout.taken_at_s)
        key = self._key(leak)
        self.leaked[key] += 1
        self._counted[checkout.id] = key
        return leak

    def _key(self, leak: Leak) -> LeakKey:
        site = "" if leak.site is UNKNOWN_SITE else leak.site.label
        key = (leak.evidence, leak.route or "", site)
        if key in self.leaked or len(self.leaked) < MAX_SERIES:
            return key
        return leak.evidence, catalogue.OTHER, catalogue.OTHER


def _needs_stack(checkout: OpenCheckout, now_s: float) -> bool:
    if not isinstance(checkout.owner, ThreadOwner):
        return False
    request = checkout.request
    if request is not None and request.finished_at_s is not None:
        return checkout.owner is not request.thread
    is_judged_by_thread = request is None or request.kind is UnitKind.COMMAND
    return is_judged_by_thread and _is_old(checkout, now_s)


def is_idle_thread(owner: ThreadOwner) -> bool:
    """Return whether a thread waits for its next job; False if it may run greenlets."""
    if hidden_greenlets() is not None:
        return False

    def is_between(frames: dict[int, FrameType]) -> bool:
        frame = frames.get(owner.ident)
        return frame is not None and is_between_jobs(frame)

    return read_frames(is_between)


def read_frames(read: Callable[[dict[int, FrameType]], _Result]) -> _Result:
    """Return the result of `read` on the frames of all threads, by ident; keeps no frame.

    No garbage collection runs meanwhile. A collection may let another thread continue, and leave
    the frame that CPython is just reading. With a threshold of 1 this crashed a process (3.11.7).
    """
    were_enabled = gc.isenabled()
    if were_enabled:
        _pauses.append(None)
    gc.disable()
    try:
        return read(sys._current_frames())  # noqa: SLF001 - public in all but name
    finally:
        if were_enabled:
            gc.enable()
            if _pauses:  # a child that was forked in here has ended the pause already
                _pauses.pop()


def resume_collections_in_child() -> None:
    """Collect garbage again in a child that was forked while another thread read frames.

    That thread does not run in the child, so nothing else would end its pause.
    """
    if _pauses:
        _pauses.clear()
        gc.enable()


def _gone_since(checkout: OpenCheckout, now_s: float) -> float:
    """Return when the owner ended: known for a request, otherwise the time of the first notice."""
    request, owner = checkout.request, checkout.owner
    task = None if isinstance(owner, ThreadOwner) else owner()
    own_task = request is not None and request.task is not None and request.task() is task
    if request is None or request.finished_at_s is None or (task is not None and not own_task):
        return now_s
    return request.finished_at_s
