"""Watch all event loops of the process: how late they are, and at which line they are blocked."""

import selectors
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType
from typing import NamedTuple

from poolscope.recording.callsite import Place, is_loop, site_outside
from poolscope.recording.leaks import read_frames
from poolscope.recording.pool import drained
from poolscope.watching.known_loops import KnownLoops
from poolscope.watching.loop_watch import LoopWatch, Stall
from poolscope.watching.worker_threads import WorkerThreads, in_all

LOOK_S = 0.25
"""How often late loops are checked; others once a second, to wake the CPU less often."""

ASK_S = 5.0
"""How often a loop that seems to wait for events gets a callback."""

LATE_S = 0.1
"""From this lag on, a loop is checked more often: it may be blocked, and the line is needed."""

MAX_STALLS = 100
"""Most ended stalls that no push has reported yet."""

RECENT_S = 30.0
"""How long after its end a stall may explain that callers gave up."""


class LoopState(NamedTuple):
    """The state of the process's event loops since the previous push.

    The maximum delay of a callback is `lag_s`. The total length of ended stalls is `blocked_s`.
    The longest ended stall is `ended`, and the longest stall that continues is `current`.
    """

    lag_s: float = 0.0
    blocked_s: float = 0.0
    ended: Stall | None = None
    current: Stall | None = None


class EventLoops:
    """The event loops of the process: the watcher's thread checks them, the pusher's reads them."""

    def __init__(self, known: KnownLoops, cpu_time: Callable[[], float]) -> None:
        self._known = known
        self._cpu_time = cpu_time
        self._watches: list[LoopWatch] = []
        self._ended: deque[Stall] = deque(maxlen=MAX_STALLS)
        self._worst_lag_s = 0.0
        self._cpu_s = cpu_time()
        self.blocked_s = 0.0
        """Seconds for which loops were blocked since the start, in stalls that have ended."""
        self._last_ended: tuple[float, Stall] | None = None
        self.last_state = LoopState()
        """The state that the last push took."""

    @property
    def are_known(self) -> bool:
        """Return whether any loop is watched; otherwise their lag is unknown."""
        return bool(self._watches)

    @property
    def are_late(self) -> bool:
        """Return whether a loop with an open callback was late, so that it needs a check soon."""
        return any(watch.is_asked and watch.lag_s >= LATE_S for watch in self._watches)

    @property
    def current_stall(self) -> Stall | None:
        """Return the longest stall that has not ended."""
        return _longest(watch.stall for watch in self._watches)

    @property
    def worker_threads(self) -> WorkerThreads | None:
        """Return the threads that serve requests, of all loops; None if there are none."""
        return in_all(watch.threads for watch in self._watches)

    def loop_threads(self) -> list[tuple[int, int, CodeType | None]]:
        """Return the id of each loop, its thread, and the code that runs it if known."""
        watched = [(watch.loop(), watch) for watch in list(self._watches)]
        return [(id(loop), watch.ident, watch.runner) for loop, watch in watched if loop]

    def recent_stall(self, now_s: float) -> Stall | None:
        """Return the last stall that ended in the last 30 s; None if there was none."""
        if self._last_ended is None or now_s - self._last_ended[0] > RECENT_S:
            return None
        return self._last_ended[1]

    def take_state(self) -> LoopState:
        """Return the state since the last call; for one caller, the pusher."""
        ended = drained(self._ended.popleft)
        # A loop without a callback since then keeps its last lag: 0 would be invented.
        worst_s = max([self._worst_lag_s, *(watch.lag_s for watch in self._watches)])
        self._worst_lag_s = 0.0
        blocked_s = sum(stall.lasted_s for stall in ended)
        self.last_state = LoopState(worst_s, blocked_s, _longest(ended), self.current_stall)
        return self.last_state

    def ask_loops(self, now_s: float, *, is_pressed: bool) -> None:
        """Give a callback to each loop that seems busy, or to all loops while callers wait.

        A loop that waits for events does run. It gets a callback only every 5 s, to wake it rarely.
        """
        self._watch_known()
        due: list[LoopWatch] = []
        others: list[LoopWatch] = []
        for watch in self._watches:
            is_due = is_pressed or now_s - watch.asked_at_s >= ASK_S
            (due if is_due else others).append(watch)
        due += _busy(others)
        if due:
            self._cpu_s = self._cpu_time()
        for watch in due:
            watch.schedule_turn(now_s)

    def look_at_loops(self, now_s: float, late_s: float) -> None:
        """Check which loops ran since they got a callback; this check is `late_s` late."""
        asked = [watch for watch in self._watches if watch.is_asked]
        if not asked:
            return  # the usual case, which must cost nothing
        suspended_s = self._suspended_s(late_s)
        for watch in asked:
            watch.excuse(suspended_s)
            ended = watch.look(now_s, place_of_loop)
            self._worst_lag_s = max(self._worst_lag_s, watch.lag_s)
            if ended is not None:
                self.blocked_s += ended.lasted_s
                self._ended.append(ended)
                self._last_ended = now_s, ended

    def _watch_known(self) -> None:
        """Watch the loops that are known and open, and no others."""
        if len(self._known) != len(self._watches) or any(w.is_over for w in self._watches):
            watches = {id(loop): watch for watch in self._watches if (loop := watch.loop())}
            known = self._known.open_loops()
            self._watches = [watches.get(id(each.loop)) or LoopWatch(each) for each in known]

    def _suspended_s(self, late_s: float) -> float:
        """Return how long the whole process did not run since the last check or callback.

        If the machine suspends the process, or has no processor for it, this check is late too.
        Code that holds the GIL also makes it late, but uses a processor.
        """
        before_s, self._cpu_s = self._cpu_s, self._cpu_time()
        return late_s if late_s > LOOK_S and self._cpu_s - before_s < late_s / 2 else 0.0


def _busy(watches: Sequence[LoopWatch]) -> list[LoopWatch]:
    """Return the loops that do not wait for events at this instant."""
    if not watches:
        return []

    def busy(frames: dict[int, FrameType]) -> list[LoopWatch]:
        return [w for w in watches if not _is_polling(frames.get(w.ident), w.runner)]

    return read_frames(busy)


def _is_polling(frame: FrameType | None, runner: CodeType | None) -> bool:
    """Return whether a loop's thread waits for events; uvloop does so in the frame that runs it.

    `subprocess.run` waits in a selector too, and blocks the loop that calls it.
    """
    if frame is not None and frame.f_code.co_filename == selectors.__file__:
        frame = frame.f_back
    return frame is not None and (frame.f_code is runner or is_loop(frame))


def place_of_loop(watch: LoopWatch) -> Place | None:
    """Return the place in the application at which a loop's thread is; see `place_of_thread`."""
    return place_of_thread(watch.ident, watch.runner)


def place_of_thread(ident: int, runner: CodeType | None = None) -> Place | None:
    """Return the place in the application at which a thread is, or from which it called a library.

    None if the thread runs no application code inside `runner`, the code that runs its loop.
    """

    def place(frames: dict[int, FrameType]) -> Place | None:
        frame = frames.get(ident)
        return None if frame is None else site_outside(frame, runner).place

    return read_frames(place)


def _longest(stalls: Iterable[Stall | None]) -> Stall | None:
    known = [stall for stall in stalls if stall is not None]
    return max(known, key=lambda stall: stall.lasted_s, default=None)
