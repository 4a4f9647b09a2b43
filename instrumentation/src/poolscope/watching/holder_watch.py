"""Look at holders and waiters when it is time, and keep the profile of connection-holding time."""

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from poolscope.recording.pool import PoolStats
from poolscope.recording.registry import Registry
from poolscope.watching.holder_looks import HolderLooks
from poolscope.watching.loops import EventLoops
from poolscope.watching.occupancy import Occupancy
from poolscope.watching.owner_stack import LoopThread
from poolscope.watching.sampling import LookSchedule

IDLE_S: Final = 5.0
"""An application that has used no connection for this long is not looked at."""

PROFILE_HZ: Final = 10.0
"""Looks per second under pressure, unless the application sets another rate."""

CpuTime = Callable[[], float]
"""Returns the CPU time of this thread, in seconds."""


class HolderWatch:
    """The looks of one process; only the watcher's thread calls `look_if_due` and `note_use`."""

    def __init__(
        self,
        registry: Registry,
        loops: EventLoops,
        cpu_time: CpuTime,
        *,
        is_on: bool = True,
        profile_hz: float = PROFILE_HZ,
    ) -> None:
        self._registry = registry
        self._cpu_time = cpu_time
        self._is_on = is_on
        self._has_profile = profile_hz > 0
        self._schedule = LookSchedule(profile_hz, Random().uniform)  # noqa: S311 - no secret
        self._used = 0
        self._used_at_s = -math.inf
        self.due_s = math.inf
        """When to look next, by `clock.monotonic`."""
        self.looks = HolderLooks(registry, lambda: _loop_threads(loops))
        self.occupancy = Occupancy()

    def note_use(self, now_s: float) -> None:
        """Begin or stop looking, and set how often, by the present use of the pools.

        Call it every second. An idle process then wakes no more often than without looks.
        """
        if not self._is_on:
            return
        pools = [pool.stats for pool in list(self._registry.pools)]
        used = sum(sum(stats.wait.counts) for stats in pools)
        if used != self._used or any(_is_in_use(stats) for stats in pools):
            self._used, self._used_at_s = used, now_s
        if now_s - self._used_at_s > IDLE_S:
            self.due_s = math.inf
            return
        self._schedule.is_pressed = any(_is_pressed(stats) for stats in pools)
        soonest_s = now_s + self._schedule.next_delay_s()
        if self.due_s == math.inf:
            self._schedule.elapsed_s(now_s)
        self.due_s = min(self.due_s, soonest_s)

    def look_if_due(self, now_s: float) -> None:
        """Look at all owners, if it is time."""
        if now_s < self.due_s:
            return
        self.due_s = math.inf  # an error below must not repeat at once: `note_use` sets it again
        began_s = self._cpu_time()
        uses = self.looks.look_at_owners(now_s)
        elapsed_s = self._schedule.elapsed_s(now_s)
        if self._has_profile:
            self.occupancy.add_look(uses, self.looks, elapsed_s)
        self._schedule.note_cost(self._cpu_time() - began_s)
        self.due_s = now_s + self._schedule.next_delay_s()


def _is_in_use(stats: PoolStats) -> bool:
    return bool(stats.waiting) or any(slot.out is not None for slot in list(stats.slots.values()))


def _is_pressed(stats: PoolStats) -> bool:
    """Return whether a caller waits, or no place of a pool is free."""
    if stats.waiting:
        return True
    state, configuration = stats.reader.state(dict(stats.slots)), stats.reader.configuration()
    limit = configuration.max if configuration is not None else None
    return state is not None and limit is not None and state.used >= limit


def _loop_threads(loops: EventLoops) -> Mapping[int, LoopThread]:
    return {key: LoopThread(ident, runner) for key, ident, runner in loops.loop_threads()}
