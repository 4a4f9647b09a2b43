"""Keep one row of the process's pools: a name and totals, for one pool after another.

Celery closes Django's pool after each task, and other apps make an engine for each job. If each of
these pools had a row, there would be a thousand rows with one checkout each, and no rate.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from weakref import ref

from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import PoolIdentity, PoolStats

RESTS_S: Final = 60.0
"""How long a row without a pool counts as in use, if several pools had it: the next one may come.

Otherwise the row of a worker would disappear and come back between any two of its tasks.
"""


class WatchedPool:
    """A row as the pusher reads it: its name, its statistics, its leaks, and the pool that has it.

    The pool lives as long as `owner`. In the process, `identity` is unique; `Registry.named_pools`
    sets it, and `is_gone`. `generation` is the number of pools that had the row, one at a time.
    """

    __slots__ = (
        "_claims", "_is_open", "_without_since_s", "generation", "identity", "is_gone",
        "is_released", "leaks", "owner", "site", "stats",
    )  # fmt: skip

    def __init__(
        self, stats: PoolStats, owner: Callable[[], object], site: Site = UNKNOWN_SITE
    ) -> None:
        self.stats = stats
        self.owner = owner
        self.site = site
        self.identity: PoolIdentity | None = None
        self.leaks = LeakDetector()
        self.generation = 1
        self.is_gone = False
        self.is_released = False
        self._without_since_s: float | None = None
        self._claims = [True]
        self._is_open = True

    @property
    def line(self) -> str | None:
        """Return the line that made the pool, `file:line`; None if unknown."""
        return None if self.site is UNKNOWN_SITE else self.site.label

    @property
    def has_pool(self) -> bool:
        """Return whether the pool of the row can still be used."""
        return self.owner() is not None and not self.stats.reader.is_closed()

    @property
    def is_free(self) -> bool:
        """Return whether another pool may take the row: its pool has ended, and nothing is out."""
        return (self.is_released or not self.has_pool) and not self.stats.is_busy

    @property
    def is_over(self) -> bool:
        """Return whether the pool is gone and was never used, so that nothing is reported of it."""
        return self.is_gone and self.stats.is_unused

    def is_kind_of(self, other: PoolStats) -> bool:
        """Return whether the row has pools of the same name, server, library and pre-ping."""
        kinds = {
            (each.identity, each.library, each.is_async, each.pre_ping)
            for each in (self.stats, other)
        }
        return len(kinds) == 1

    def is_taken_by(self, owner: object, stats: PoolStats, site: Site) -> bool:
        """Give the row to a new pool, and return True; False if another pool has it."""
        with self._claim() as is_mine:
            is_free = is_mine and self.is_free
            if is_free:
                self.owner, self.site = ref(owner), site
                self.is_released = self.is_gone = False
                self._without_since_s = None
                self.generation += 1
                self.stats.begin_next_pool(stats)
        return is_free

    def is_kept_by(self, owner: object) -> bool:
        """Return whether a pool that was released still has the row; then it is not free."""
        with self._claim() as is_mine:
            is_kept = is_mine and self.owner() is owner
            if is_kept:
                self.is_released = False
        return is_kept

    def is_given_up(self) -> bool:
        """Return whether the row has no pool; then no pool can take it from now on."""
        with self._claim() as is_mine:
            is_given_up = is_mine and not self.has_pool and not self.stats.is_busy
            self._is_open = self._is_open and not is_given_up
        return is_given_up

    @contextmanager
    def _claim(self) -> Iterator[bool]:
        """Yield whether the row is this thread's in the block: `pop` is atomic, without a lock."""
        try:
            self._claims.pop()
        except IndexError:
            yield False
            return
        try:
            yield self._is_open
        finally:
            self._claims.append(True)

    def split_past(self) -> "WatchedPool":
        """Return the totals so far as a row without a pool, and start again from zero.

        The pools before had another name than the present one has now.
        """
        past = WatchedPool(self.stats.take_totals(), no_owner, self.site)
        past.identity, past.leaks = self.identity, self.leaks
        self.leaks, self.generation = LeakDetector(), 1
        return past

    def note_end(self, now_s: float) -> None:
        """Find out whether the row's pool is gone."""
        if self.has_pool or self.stats.is_busy:
            self.is_gone, self._without_since_s = False, None
            return
        if self._without_since_s is None:
            self._without_since_s = now_s
        self.is_gone = self.generation == 1 or now_s - self._without_since_s >= RESTS_S

    def reset_in_child(self) -> None:
        """Start again from zero, in a forked child."""
        self.stats.reset()
        self.leaks = LeakDetector()
        self.generation = 1
        self._claims = [True]


def no_owner() -> None:
    """Return None, as the reference to a pool that is gone."""
