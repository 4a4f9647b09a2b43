"""Check the pools of the process every second, in a thread that sends nothing.

The thread that sends may be slow, because a network may be slow. This thread finds leaks and
blocked event loops in time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from poolscope.background import BackgroundThread, StopSignal
from poolscope.clock import monotonic
from poolscope.recording.leaks import Leak
from poolscope.recording.pool import drained
from poolscope.recording.registry import Registry
from poolscope.watching.holder_watch import PROFILE_HZ, HolderWatch
from poolscope.watching.known_loops import KnownLoops
from poolscope.watching.loops import LOOK_S, EventLoops

TICK_S = 1.0
"""How often the watcher searches leaks and checks whether the event loops run."""

END_S = 1.0
"""Maximum time to wait for the end of the thread."""

MAX_LEAKS = 1000
"""Most new leaks that the pusher has not taken yet; the counters include all leaks."""

FoundLeak = tuple[str, Leak]
"""The name of a pool, and a checkout of it that leaked."""


class Watcher:
    """The checks of the pools and event loops of one process, in a thread that `start` starts."""

    def __init__(
        self, registry: Registry, *, is_looking: bool = True, profile_hz: float = PROFILE_HZ
    ) -> None:
        self._registry = registry
        self._is_looking = is_looking
        self._profile_hz = profile_hz
        self.on_leak: Callable[[], None] = _nothing
        """Called after leaks were found."""
        self._begin()

    def _begin(self) -> None:
        self.known_loops = KnownLoops()
        self.loops = EventLoops(self.known_loops, time.process_time)
        self.holders = HolderWatch(
            self._registry,
            self.loops,
            time.thread_time,
            is_on=self._is_looking,
            profile_hz=self._profile_hz,
        )
        self._leaks: deque[FoundLeak] = deque(maxlen=MAX_LEAKS)
        self._scanning = threading.Lock()
        self._stop = StopSignal()
        self._thread = BackgroundThread("poolscope-watcher", self._run)

    def watch_child(self) -> None:
        """Begin again in a forked child: no thread and no event loop of the parent runs there."""
        self._begin()

    def start(self) -> None:
        """Start the thread unless it runs; never waits for a lock."""
        if not self._stop.is_set():
            self._thread.start()

    def stop(self) -> None:
        """End the thread; it works for a few milliseconds at most."""
        self._stop.set()
        self._thread.join(END_S)

    def scan_leaks(self) -> None:
        """Count the notes of hooks and search leaks; `take_leaks` returns the leaks found."""
        with self._scanning:
            for identity, pool in self._registry.named_pools():
                pool.stats.count()  # here, so that the application's threads need not do it
                checkouts = pool.stats.open_checkouts()
                collected = drained(pool.stats.collected.popleft)
                leaks = pool.leaks.scan(checkouts, collected, monotonic())
                self._leaks.extend((identity.name, leak) for leak in leaks)
        if self._leaks:
            self.on_leak()

    @contextmanager
    def between_scans(self) -> Iterator[None]:
        """Prevent scans in this block, so that found and recovered leaks stay as they are."""
        with self._scanning:
            yield

    def take_leaks(self) -> list[FoundLeak]:
        """Return the leaks that were found since the last call."""
        return drained(self._leaks.popleft)

    def _run(self) -> None:
        # Each check contains its errors separately, so that one failure does not stop the others.
        contained = self._registry.contained
        look, ask = contained(self.loops.look_at_loops), contained(self._ask_loops)
        scan_leaks = contained(self.scan_leaks)
        note_use = contained(self.holders.note_use)
        look_if_due = contained(self.holders.look_if_due)
        tick_s = due_s = monotonic() + TICK_S
        while not self._stop.wait(max(0.0, due_s - monotonic())):
            now_s = monotonic()
            look(now_s, now_s - due_s)
            if now_s >= tick_s:
                tick_s = now_s + TICK_S
                scan_leaks()
                ask()
                note_use(now_s)
            look_if_due(now_s)
            next_s = min(tick_s, self.holders.due_s)
            due_s = min(next_s, monotonic() + LOOK_S) if self.loops.are_late else next_s

    def _ask_loops(self) -> None:
        is_pressed = any(pool.stats.waiting for pool in list(self._registry.pools))
        self.loops.ask_loops(monotonic(), is_pressed=is_pressed)


def _nothing() -> None:
    """Do nothing until the pusher is there."""
