"""Keep the pools of the process, and the errors of its hooks."""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from poolscope.clock import monotonic
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity, PoolStats
from poolscope.recording.pool_rows.contained_reader import ContainedReader
from poolscope.recording.pool_rows.creation_lines import CreationLines
from poolscope.recording.pool_rows.pool_names import PoolNames
from poolscope.recording.pool_rows.row import WatchedPool, no_owner
from poolscope.recording.session_errors import SessionErrors
from poolscope.recording.traces.slow_notes import SLOW_WAIT_S

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Registry:
    """The pools that hooks found, and the errors of poolscope's hooks.

    Hooks append without a lock; the rest is for poolscope's threads and for `name_pool`. The limit
    is `max_pools` rows: a new pool replaces a pool that is gone. If there is none, the new pool is
    not watched, and `pools_refused` counts it. `session_errors` is None until an adapter counts
    them. The counters of rows in `retired` belong to their names.
    """

    def __init__(
        self,
        *,
        max_pools: int = 50,
        max_routes: int = 100,
        pool_names: Mapping[str, str] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.pools: list[WatchedPool] = []
        self.creation_lines = CreationLines()
        self.session_errors: SessionErrors | None = None
        self.max_routes = max_routes
        self.slow_wait_s = SLOW_WAIT_S
        self.buffering = False
        self.hook_errors = 0
        self.last_hook_error: str | None = None
        self.pools_refused = 0
        self.retired: list[WatchedPool] = []
        self.on_activity: Callable[[], None] = _nothing
        self.on_shutdown: Callable[[], None] = _nothing
        self.on_fork: list[Callable[[], None]] = []
        self.finders: list[Callable[[object], PoolStats | None]] = []
        self._max_pools = max_pools
        self._pool_names = PoolNames(pool_names)
        self._clock = clock
        self._naming = threading.Lock()  # for the pusher's and the provider's threads, never hooks

    def watch(self, owner: object, stats: PoolStats, site: Site = UNKNOWN_SITE) -> PoolStats | None:
        """Start to watch a pool that lives as long as `owner`, made at `site`; None without room.

        Returns the statistics to use: of the row of an earlier pool that is gone, or else `stats`.
        """
        stats.identity = self._pool_names.apply_names(stats.identity, site)
        stats.reader = ContainedReader(stats.reader, self.contain)
        stats.reader.configuration()  # the pool may be gone before the first push
        for row in self._free_rows(stats, site):
            if row.is_taken_by(owner, stats, site):
                return row.stats
        if len(self.pools) >= self._max_pools and not self._drop_one():
            self.pools_refused += 1
            return None
        if self.buffering:
            stats.buffer_samples()
        stats.notice_waits(self.slow_wait_s)
        self.pools.append(WatchedPool(stats, weakref.ref(owner), site))
        return stats

    def drop_twin(self, stats: PoolStats | None) -> None:
        """Undo `watch`: another thread has just begun to watch the same pool."""
        for row in self._rows_of(stats):
            row.owner = no_owner

    def release_row(self, owner: object, stats: PoolStats) -> None:
        """Let the next pool take the row of a pool, although the pool may be used again."""
        for row in self._rows_of(stats):
            row.is_released = row.is_released or row.owner() is owner

    def keeps_row(self, owner: object, stats: PoolStats) -> bool:
        """Return whether a released pool still has its row; then no other pool may take it."""
        return any(row.is_kept_by(owner) for row in self._rows_of(stats))

    def note_created_pool(self, owner: object, identity: PoolIdentity, site: Site) -> None:
        """Note the line that made a pool, which lives as long as `owner`."""
        given = self._pool_names.apply_names(identity, site)
        self.creation_lines.note_made(owner, given, site, self._clock())

    def rename(self, target: object, name: str) -> bool:
        """Name the pool of `target`; return False if no adapter finds one."""
        found = (stats for find in self.finders if (stats := find(target)) is not None)
        stats = next(found, None)
        if stats is None:
            return False
        with self._naming:
            for row in self._rows_of(stats):
                if row.generation > 1 and name != stats.identity.name:
                    self.retired.append(row.split_past())
                row.identity = None  # `named_pools` makes unique names again
                self.creation_lines.leave_out(row.owner())
            stats.identity = replace(stats.identity, name=name)
        return True

    def unwatch(self, stats: PoolStats) -> None:
        """Stop watching a pool, because another pool counts its connections."""
        for row in self._rows_of(stats):
            self.pools.remove(row)
            if row.generation > 1:
                self.retired.append(row)

    def _rows_of(self, stats: PoolStats | None) -> list[WatchedPool]:
        return [row for row in list(self.pools) if row.stats is stats]

    def _free_rows(self, stats: PoolStats, site: Site) -> list[WatchedPool]:
        """Return the rows that a new pool may take, the rows of its line first.

        A row of another line is better than a new one: it may have the good name, because a
        migration used the database first.
        """
        rows = [row for row in list(self.pools) if row.is_kind_of(stats) and row.is_free]
        return sorted(rows, key=lambda row: row.site is not site)

    def contain(self, error: Exception) -> None:
        """Note an error of poolscope inside a hook; the pusher logs it once."""
        self.hook_errors += 1
        self.last_hook_error = f"{type(error).__name__}: {error}"

    def contained(
        self, hook: Callable[_Arguments, _Result]
    ) -> Callable[_Arguments, _Result | None]:
        """Return `hook` with its errors contained: it returns None instead of raising.

        Wrap a hook once, where it is registered. Hooks that run at each checkout or return contain
        their errors inline instead, because the wrapper costs one more call.
        """
        contain = self.contain

        @wraps(hook)
        def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result | None:
            try:
                return hook(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - no error may reach the application
                contain(error)
                return None

        return run

    def buffer_histograms(self) -> None:
        """Keep the samples of all histograms for an OpenTelemetry provider, from now on."""
        self.buffering = True
        for pool in list(self.pools):
            pool.stats.buffer_samples()

    def stop_buffering(self) -> None:
        """Keep no more samples, because no provider takes them any more."""
        self.buffering = False
        for pool in list(self.pools):
            for _, histogram in pool.stats.timed:
                histogram.buffer = None

    def named_pools(self) -> list[tuple[PoolIdentity, WatchedPool]]:
        """Return the rows with unique names: an equal name gets a suffix such as `-2`.

        The first pool keeps the name while it lives. The sum of an idle pool and a full one with
        the same name would hide exhaustion.
        """
        with self._naming:
            now_s = self._clock()
            for pool in list(self.pools):
                pool.note_end(now_s)
                if pool.is_over and pool.is_given_up():
                    self.pools.remove(pool)  # not a new list: a hook may append meanwhile
            for pool in list(self.pools):
                if pool.identity is None:
                    pool.identity = self._unique(pool)
            for pool in list(self.retired):
                pool.identity = pool.identity or pool.stats.identity
            return [(pool.identity, pool) for pool in list(self.pools) if pool.identity is not None]

    def forget_counts(self) -> None:
        """Drop all counts, in a forked child."""
        self.hook_errors = 0
        self.pools_refused = 0
        self.retired = []
        self.creation_lines.forget_made()
        self.session_errors = self.session_errors and SessionErrors()
        self._naming = threading.Lock()
        for pool in self.pools:
            pool.reset_in_child()
        for forget in self.on_fork:
            forget()

    def _drop_one(self) -> bool:
        return any(self._is_retired(pool) for pool in list(self.pools))

    def _is_retired(self, pool: WatchedPool) -> bool:
        """Retire a row without a pool and return True; False if it has a pool."""
        is_given_up = pool.is_given_up()
        if is_given_up:
            self.pools.remove(pool)
            self.retired.append(pool)
        return is_given_up

    def _unique(self, pool: WatchedPool) -> PoolIdentity:
        """Return a name that no other pool has; a pool that is gone gives its name away."""
        candidate, number = pool.stats.identity, 1
        while not self._is_available(candidate):
            number += 1
            candidate = replace(candidate, name=f"{pool.stats.identity.name}-{number}")
        return candidate

    def _is_available(self, identity: PoolIdentity) -> bool:
        holder = next((each for each in list(self.pools) if each.identity == identity), None)
        return holder is None or self._is_retired(holder)


def _nothing() -> None:
    """Do nothing until the pusher is there."""
