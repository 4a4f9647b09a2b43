"""Measure whether one event loop runs: by a callback, and by the place of its thread."""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from types import CodeType
from weakref import ref

from poolscope.clock import monotonic
from poolscope.recording.callsite import Place
from poolscope.watching.known_loops import KnownLoop
from poolscope.watching.worker_threads import WorkerThreads, read_worker_threads

STALLED_S = 0.5
"""A callback that is this late was blocked: from here on, a wait counts as long (T1)."""

PlaceOfLoop = Callable[["LoopWatch"], Place | None]
"""Returns the place in the application at which the thread of a loop is."""

ReadThreads = Callable[[], WorkerThreads | None]

_next_turn = count(1).__next__


@dataclass(frozen=True, slots=True)
class Stall:
    """A period in which an event loop did not run.

    It lasted at least `lasted_s`: it may have begun up to a second before it was noticed. The most
    frequent place of the loop's thread meanwhile is `place`, and `ident` is that thread.
    """

    lasted_s: float
    place: Place | None
    ident: int


class LoopWatch:
    """One event loop, as the watcher's thread sees it; times are `clock.monotonic`.

    A loop that runs a single task delays only that task, so it never counts as stalled.
    """

    def __init__(self, known: KnownLoop, read_threads: ReadThreads = read_worker_threads) -> None:
        self.loop = ref(known.loop)
        self.lag_s = 0.0
        """How late the last callback ran, or how late a callback is that has not run yet."""
        self.stall: Stall | None = None
        """The stall that has not ended."""
        self.threads: WorkerThreads | None = None
        """The pool of threads that serves requests on this loop, as of its last callback."""
        self._read_threads = read_threads
        self.ident = known.ident
        """The thread in which the loop ran last."""
        self.runner: CodeType | None = None
        """The code that called the last callback.

        uvloop has no frames. There, it is the code that runs the loop: the thread is in this code
        if no callback runs.
        """
        self.asked_at_s = -math.inf
        """When the loop was last given a callback."""
        self._turn = 0
        self._began_s: float | None = None
        self._ran_at_s: float | None = None
        self._places: Counter[Place] = Counter()

    @property
    def is_over(self) -> bool:
        """Return whether the loop is closed or collected."""
        loop = self.loop()
        return loop is None or loop.is_closed()

    @property
    def is_asked(self) -> bool:
        """Return whether the loop has a callback that no check has found finished."""
        return self._began_s is not None

    def schedule_turn(self, now_s: float) -> None:
        """Give the loop a callback to run, unless it has one already or does not run at all."""
        loop = self.loop()
        if self._began_s is not None or loop is None or not loop.is_running():
            return
        self._began_s = self.asked_at_s = now_s
        self._turn = _next_turn()
        try:
            loop.call_soon_threadsafe(self._run, self._turn)
        except RuntimeError:  # the loop was closed meanwhile
            self._began_s = None

    def excuse(self, elapsed_s: float) -> None:
        """Subtract a period in which the whole process did not run."""
        if self._began_s is not None:
            self._began_s += elapsed_s

    def look(self, now_s: float, place_of: PlaceOfLoop) -> Stall | None:
        """Check whether the loop ran; return the stall that has ended, if there was one."""
        loop, began_s, ran_at_s = self.loop(), self._began_s, self._ran_at_s
        if began_s is None:
            return None
        if loop is None or not loop.is_running():
            self._settle(0.0)
            return None
        self.lag_s = max(0.0, (now_s if ran_at_s is None else ran_at_s) - began_s)
        if self.lag_s >= STALLED_S and len(asyncio.all_tasks(loop)) > 1:
            if ran_at_s is None and (place := place_of(self)):
                self._places[place] += 1
            commonest = next((place for place, _ in self._places.most_common(1)), None)
            self.stall = Stall(self.lag_s, commonest, self.ident)
        if ran_at_s is None:
            return None
        ended = self.stall
        self._settle(self.lag_s)
        return ended

    def _run(self, turn: int) -> None:
        """Note that the loop runs; the loop calls this."""
        if turn == self._turn:  # else the callback is old: the loop was stopped since
            self.ident = get_ident()
            caller = sys._getframe().f_back  # noqa: SLF001 - public in all but name
            self.runner = None if caller is None else caller.f_code
            self.threads = self._read_threads()
            self._ran_at_s = monotonic()

    def _settle(self, lag_s: float) -> None:
        self.lag_s, self.stall, self._turn = lag_s, None, 0
        self._began_s = self._ran_at_s = None
        self._places.clear()
