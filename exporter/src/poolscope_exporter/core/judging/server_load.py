"""Decide whether a database has capacity for more work: by its CPUs, and by past gains.

A larger pool helps only if the server then ends more statements. It makes every query slower if the
CPUs are busy. The same applies if twice the connections in use ended no more uses than before.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from poolscope import catalogue
from poolscope_exporter.core.fleet.growth import WINDOW_S, Growth
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.model.checkouts import Pool

CPU_SATURATED: Final = 0.7
"""The share of the CPUs from which on a larger pool does not help (T7)."""

CPU_WINDOW_S: Final = 15.0
"""A few surveys, because one alone may be from an unusual moment."""

MEMORY_S: Final = 600.0
"""The time for which a lower load is kept for comparison; later, the queries may differ."""

MORE_AT_WORK: Final = 2.0
"""The factor by which the connections in use must have grown for a comparison."""

GAIN: Final = 1.2
"""The growth of ended uses per second from which on more connections are worth it."""

MIN_ENDED: Final = 20.0
"""The number of uses that must have ended in a window for a meaningful rate."""

MARKS: Final = 64
"""The number of loads kept of each pool: one for each number of connections in use, in steps."""


@dataclass(frozen=True, slots=True)
class Plateau:
    """Two loads of a pool: more connections in use, but no more uses that end.

    `at_work` is the average number of connections in use, `mean_s` the average duration of a use.
    """

    at_work_before: float
    mean_before_s: float
    at_work: float
    mean_s: float


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """The load of a pool's server; None is unknown.

    The share of its CPUs that run statements is `cpu_share`, averaged over some seconds while
    callers of the pool waited. The number of its sessions that run a statement and wait for nothing
    is `on_cpu`.
    """

    cpu_share: float | None = None
    cpus: float | None = None
    on_cpu: int | None = None
    plateau: Plateau | None = None

    @property
    def is_asked(self) -> bool:
        """Return whether its CPUs can be measured, but were not since callers began to wait."""
        return self.cpus is not None and self.on_cpu is not None and self.cpu_share is None

    @property
    def is_saturated(self) -> bool:
        """Return whether a larger pool would only make the server slower."""
        return self.has_busy_cpus or self.is_on_plateau

    @property
    def has_busy_cpus(self) -> bool:
        """Return whether its CPUs are known to be saturated."""
        return self.cpu_share is not None and self.cpu_share >= CPU_SATURATED

    @property
    def is_on_plateau(self) -> bool:
        """Return whether more callers gained nothing, while the server computes for most of them.

        An application that lacks CPU itself gains nothing either, but then few sessions run.
        """
        if self.plateau is None or self.on_cpu is None:
            return False
        return 2 * self.on_cpu >= self.plateau.at_work


UNKNOWN_LOAD: Final = ServerLoad()


@dataclass(frozen=True, slots=True)
class _Rate:
    at_s: float
    at_work: float
    ended_per_s: float
    mean_s: float


class LoadHistory:
    """Loads of servers and pools over time; times are one monotonic clock."""

    def __init__(self) -> None:
        self._on_cpu: dict[str, deque[tuple[float, int]]] = {}
        self._rates: dict[Pool, dict[int, _Rate]] = {}
        self._waiting_since_s: dict[Pool, float] = {}

    def note_on_cpu(self, server: str, on_cpu: int | None, at_s: float | None) -> None:
        """Record how many sessions of a server ran and waited for nothing at `at_s`."""
        if on_cpu is None or at_s is None:
            self._on_cpu.pop(server, None)
            return
        samples = self._on_cpu.setdefault(server, deque())
        if not samples or samples[-1][0] < at_s:
            samples.append((at_s, on_cpu))
        while samples[0][0] < at_s - CPU_WINDOW_S:
            samples.popleft()

    def note_waiting(self, pool: Pool, numbers: PoolNumbers, now_s: float) -> None:
        """Record whether callers of a pool wait, or gave up in the window."""
        if numbers.pending or numbers.growth.timeouts:
            self._waiting_since_s.setdefault(pool, now_s)
        else:
            self._waiting_since_s.pop(pool, None)

    def cpu_share(self, server: str, cpus: float | None, pool: Pool) -> float | None:
        """Return the share of CPUs that ran statements recently, while the pool's callers waited.

        A single low survey does not count as idle: it may be from the moment before the load.
        """
        since_s = self._waiting_since_s.get(pool)
        if since_s is None or not cpus:
            return None
        found = [on_cpu for at_s, on_cpu in self._on_cpu.get(server, ()) if at_s >= since_s]
        share = fmean(found) / cpus if found else None
        is_surely_idle = len(found) > 1
        return share if share is None or is_surely_idle or share >= CPU_SATURATED else None

    def plateau(self, pool: Pool, growth: Growth, now_s: float) -> Plateau | None:
        """Record the load of a pool.

        Return its comparison with a lower one, if it gained nothing.
        """
        now = _rate(growth, now_s)
        if now is None:
            return None
        rates = self._rates.setdefault(pool, {})
        lower = [
            each
            for each in rates.values()
            if each.at_s >= now_s - MEMORY_S and MORE_AT_WORK * each.at_work <= now.at_work
        ]
        rates[min(MARKS, round(now.at_work))] = now
        best = max(lower, key=lambda each: each.ended_per_s, default=None)
        if best is None or now.ended_per_s > GAIN * best.ended_per_s:
            return None
        return Plateau(best.at_work, best.mean_s, now.at_work, now.mean_s)

    def keep_loads(self, pools: Collection[Pool], servers: Collection[str]) -> None:
        """Drop the loads of other pools and servers."""
        self._rates = {pool: rates for pool, rates in self._rates.items() if pool in pools}
        self._waiting_since_s = {
            pool: since_s for pool, since_s in self._waiting_since_s.items() if pool in pools
        }
        self._on_cpu = {name: each for name, each in self._on_cpu.items() if name in servers}


def _rate(growth: Growth, now_s: float) -> _Rate | None:
    """Return the load of a window; by Little's law, rate times duration is the number in use."""
    ended, mean_s = growth.of(catalogue.CHECKINS), growth.mean_s(catalogue.USE_TIME)
    if ended is None or mean_s is None or ended < MIN_ENDED:
        return None
    per_s = ended / WINDOW_S
    return _Rate(now_s, per_s * mean_s, per_s, mean_s)
