"""Read the numbers of a process that affect all its pools: event loops and worker threads."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope import catalogue
from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.fleet.point_sums import PointSums
from poolscope_exporter.core.model.pushes import LoopStall, Point

MAX_STALLS: Final = 64
"""The most stalls of one process that are kept; a push has at most two."""


@dataclass(frozen=True, slots=True)
class LoopNumbers:
    """The time in which event loops of a process did not run in the window, in seconds.

    The longest stall is `longest`. A stall that was not over at the last push is `current`. The
    time of the last push with a stall is `seen_at_s`.
    """

    blocked_s: float
    longest: LoopStall
    current: LoopStall | None
    seen_at_s: float


@dataclass(frozen=True, slots=True)
class ThreadNumbers:
    """The worker threads that serve requests: used, limit, and requests that wait for one."""

    used: int
    max: int | None
    waiting: int


@dataclass(frozen=True, slots=True)
class ProcessNumbers:
    """The numbers of a process; None if it does not report them, or no loop stood still."""

    loops: LoopNumbers | None = None
    threads: ThreadNumbers | None = None


UNKNOWN_PROCESS: Final = ProcessNumbers()


class StallHistory:
    """The stalls of one process's event loops over the window; times are one monotonic clock."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, LoopStall]] = deque(maxlen=MAX_STALLS)
        self._current: LoopStall | None = None

    def record_stalls(self, stalls: Iterable[LoopStall], now_s: float) -> None:
        """Record the stalls of a push, and drop the stalls from before the window."""
        reported = list(stalls)
        self._current = next((stall for stall in reported if not stall.is_over), None)
        self._seen.extend((now_s, stall) for stall in reported)
        while self._seen and self._seen[0][0] < now_s - WINDOW_S:
            self._seen.popleft()

    def loop_numbers(self) -> LoopNumbers | None:
        """Return the sums over the window, or None if no loop stood still."""
        if not self._seen:
            return None
        current_s = self._current.lasted_s if self._current else 0.0
        blocked_s = sum(stall.blocked_s for _, stall in self._seen) + current_s
        return LoopNumbers(
            blocked_s=min(blocked_s, WINDOW_S),  # a stall may have begun before the window
            longest=max((stall for _, stall in self._seen), key=lambda stall: stall.lasted_s),
            current=self._current,
            seen_at_s=self._seen[-1][0],
        )


def thread_numbers(points: Sequence[Point]) -> ThreadNumbers | None:
    """Return the numbers of worker threads from a process's points, or None without them."""
    sums = PointSums(points)
    used = sums.whole_sum_of(catalogue.WORKER_THREADS)
    if used is None:
        return None
    waiting = sums.whole_sum_of(catalogue.WORKER_THREADS_PENDING) or 0
    return ThreadNumbers(used, sums.whole_sum_of(catalogue.WORKER_THREADS_MAX), waiting)
