"""Decide, from who took a connection and what became of them, whether a checkout has leaked."""

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from weakref import ReferenceType, ref

from poolscope import catalogue
from poolscope.catalogue import Evidence, OwnerKind
from poolscope.recording.callsite import UNKNOWN_SITE, Site, is_library
from poolscope.recording.pool import CollectedCheckout, OpenCheckout
from poolscope.recording.requests import Request
from poolscope.recording.tasks import Owner

GRACE_S = {
    Evidence.REQUEST_FINISHED: 2.0,
    Evidence.TASK_FINISHED: 30.0,
    Evidence.THREAD_FINISHED: 30.0,
    Evidence.GARBAGE_COLLECTED: 0.0,
}
"""How long a checkout must still be out, after its owner is gone, until that counts as a leak."""

MAX_SERIES = 16
"""Most pairs of route and call site that a pool's leak counters tell apart; then `other`."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A checkout that leaked, apparently, by its first evidence."""

    evidence: Evidence
    route: str | None
    site: Site
    held_s: float | None


LeakKey = tuple[Evidence, str, str]
"""Evidence, route and call site of a leak counter; empty where unknown."""


def kind_of_owner(owner: Owner, request: Request | None) -> OwnerKind:
    """Return who asks for a connection, or took it: its request where there is one."""
    if request is not None:
        return OwnerKind.LONG_LIVED if request.long_lived else OwnerKind.REQUEST
    return OwnerKind.THREAD if isinstance(owner, int) else OwnerKind.TASK


def gone_owner(checkout: OpenCheckout, threads: dict[int, FrameType]) -> Evidence | None:
    """Return the evidence that nobody is left to return the connection, else None.

    A request that has ended keeps its checkout while the task or thread that took it for the
    request still runs: fire-and-forget work is no leak. `threads` is `sys._current_frames()`.
    """
    request, owner = checkout.request, checkout.owner
    if request is not None and request.long_lived:
        return None
    if request is not None:
        ended = request.finished_at_s is not None and not _still_works(owner, request, threads)
        return Evidence.REQUEST_FINISHED if ended else None
    if isinstance(owner, int):
        return None if owner in threads else Evidence.THREAD_FINISHED
    task = owner()
    return Evidence.TASK_FINISHED if task is None or task.done() else None


def _still_works(owner: Owner, request: Request, threads: dict[int, FrameType]) -> bool:
    if isinstance(owner, int):
        return _is_at_work(threads.get(owner))
    task = owner()
    if task is None or task.done():
        return False
    # A server may run the request in a task that outlives it: there the end of the request counts.
    own = request.task() if request.task is not None else None
    return task is not own


def _is_at_work(frame: FrameType | None) -> bool:
    """Return whether application code is on the stack of a (pooled) worker thread.

    The function that took the connection may have returned meanwhile: a helper, or a generator
    behind a `with`. A worker that is already busy with other work makes the evidence late, not
    false.
    """
    while frame is not None:
        if not is_library(frame.f_code.co_filename):
            return True
        frame = frame.f_back
    return False


class LeakDetector:
    """The leaks of one pool: each checkout once, under its first evidence. Only the pusher uses it.

    `leaked` and `recovered` count by `LeakKey`.
    """

    def __init__(self) -> None:
        self.leaked: Counter[LeakKey] = Counter()
        self.recovered: Counter[LeakKey] = Counter()
        self._gone_since_s: dict[int, float] = {}
        self._counted: dict[int, LeakKey] = {}
        self._threads: dict[int, ReferenceType[threading.Thread]] = {}
        """By checkout: the thread that had its owner's ident when we first looked."""

    def evidence_of(self, checkout_id: int) -> Evidence | None:
        """Return the evidence that counts against a checkout that is still out."""
        key = self._counted.get(checkout_id)
        return key[0] if key is not None else None

    def scan(
        self,
        checkouts: Iterable[OpenCheckout],
        collected: Iterable[CollectedCheckout],
        now_s: float,
    ) -> list[Leak]:
        """Look at everything that is out, and at what was collected since; return new leaks."""
        # Collections come first: a checkout they ended is no longer among `checkouts`.
        leaks = [leak for item in collected if (leak := self._collect(item))]
        alive = {checkout.id: checkout for checkout in checkouts}
        self._recover(alive)
        with _collections_paused():
            threads = _frames_of_threads(alive.values())
            reused = self._reused_idents(alive.values()) if threads else set()
            judged = [
                self._judge(checkout, {} if checkout.id in reused else threads, now_s)
                for checkout in alive.values()
            ]
        return leaks + [leak for leak in judged if leak is not None]

    def _collect(self, item: CollectedCheckout) -> Leak | None:
        if item.id in self._counted:
            return None  # it leaked before, by other evidence; being collected is its recovery
        route = item.request.route if item.request is not None else None
        leak = Leak(Evidence.GARBAGE_COLLECTED, route, item.site, None)
        self.leaked[self._key(leak)] += 1
        return leak

    def _recover(self, alive: dict[int, OpenCheckout]) -> None:
        for identifier in [i for i in self._counted if i not in alive]:
            self.recovered[self._counted.pop(identifier)] += 1
        for known in (self._gone_since_s, self._threads):
            for identifier in [i for i in known if i not in alive]:
                del known[identifier]

    def _reused_idents(self, checkouts: Iterable[OpenCheckout]) -> set[int]:
        """Return the checkouts of threads whose ident another thread has now: they are gone.

        Python hands the ident of a thread that ended to the next one.
        """
        running = {thread.ident: thread for thread in threading.enumerate()}
        held = (
            (checkout.id, running.get(checkout.owner))
            for checkout in checkouts
            if isinstance(checkout.owner, int)
        )
        return {
            identifier
            for identifier, thread in held
            if thread is not None
            and self._threads.setdefault(identifier, ref(thread))() is not thread
        }

    def _judge(
        self, checkout: OpenCheckout, threads: dict[int, FrameType], now_s: float
    ) -> Leak | None:
        evidence = None if checkout.id in self._counted else gone_owner(checkout, threads)
        if evidence is None:
            return None
        since_s = self._gone_since_s.setdefault(checkout.id, _gone_since(checkout, now_s))
        if now_s - since_s < GRACE_S[evidence]:
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


def _frames_of_threads(checkouts: Iterable[OpenCheckout]) -> dict[int, FrameType]:
    """Return what each thread runs, where any of them holds a connection: else nobody needs it."""
    if not any(isinstance(checkout.owner, int) for checkout in checkouts):
        return {}
    return sys._current_frames()  # noqa: SLF001 - public in all but name


@contextmanager
def _collections_paused() -> Iterator[None]:
    """Let no collection run while we look at frames of other threads.

    What a collection calls may let another thread go on and leave the frame that CPython is just
    reading: under a threshold of 1 that crashed a process (3.11.7).
    """
    were_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if were_enabled:
            gc.enable()


def _gone_since(checkout: OpenCheckout, now_s: float) -> float:
    """Return when the owner went: known for a request, otherwise when we first noticed."""
    request, owner = checkout.request, checkout.owner
    task = None if isinstance(owner, int) else owner()
    own_task = request is not None and request.task is not None and request.task() is task
    if request is None or request.finished_at_s is None or (task is not None and not own_task):
        return now_s
    return request.finished_at_s
