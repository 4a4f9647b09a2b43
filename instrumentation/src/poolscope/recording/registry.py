"""Keep the pools of the process, and the errors of its hooks."""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from poolscope.recording.creation_lines import CreationLines
from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import (
    PoolConfiguration,
    PoolIdentity,
    PoolReader,
    PoolState,
    PoolStats,
    Slot,
)
from poolscope.recording.session_errors import SessionErrors
from poolscope.recording.traces.slow_notes import SLOW_WAIT_S

MAX_RENAMED: Final = 100
"""Names of several pools that the log names; an app with a pool per tenant has thousands."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class WatchedPool:
    """A pool as the pusher reads it: its name, its statistics, its leaks, whether it still lives.

    `identity` is unique in the process; `Registry.named_pools` sets it.
    """

    __slots__ = ("identity", "leaks", "owner", "stats")

    def __init__(self, stats: PoolStats, owner: weakref.ReferenceType[object]) -> None:
        self.stats = stats
        self.leaks = LeakDetector()
        self.owner = owner
        self.identity: PoolIdentity | None = None

    @property
    def is_over(self) -> bool:
        """Return whether the pool is gone and was never used, so that nothing is reported of it."""
        return self.owner() is None and not any(self.stats.wait.counts)


class ContainedReader:
    """A reader of a pool that returns None if the library cannot be read in the known way.

    One push has all pools: a pool that cannot be read must not cost the data of the others.
    """

    def __init__(self, reader: PoolReader, contain: Callable[[Exception], None]) -> None:
        self._reader = reader
        self._contain = contain

    def state(self, slots: Mapping[Any, Slot]) -> PoolState | None:
        """Return the numbers of used and idle connections; None if unknown."""
        return self._read(self._reader.state, slots)

    def configuration(self) -> PoolConfiguration | None:
        """Return the settings; None if unknown."""
        return self._read(self._reader.configuration)

    def open_connection(self, slots: Mapping[Any, Slot]) -> Any:
        """Return an open connection; None if there is none."""
        return self._read(self._reader.open_connection, slots)

    def _read(self, read: Callable[..., _Result], *arguments: Any) -> _Result | None:
        try:
            return read(*arguments)
        except Exception as error:  # noqa: BLE001 - the library may have changed, the pool be broken
            self._contain(error)
            return None


class Registry:
    """The pools that hooks found, and the errors of poolscope's hooks.

    Hooks append without a lock; the rest is for poolscope's threads and for `name_pool`. The limit
    is `max_pools`: a new pool replaces a pool that is gone. If there is none, the new pool is not
    watched, and `pools_refused` counts it. `session_errors` is None until an adapter counts them.
    """

    def __init__(self, *, max_pools: int = 50, max_routes: int = 100) -> None:
        self.pools: list[WatchedPool] = []
        self.creation_lines = CreationLines()
        self.session_errors: SessionErrors | None = None
        self.max_routes = max_routes
        self.slow_wait_s = SLOW_WAIT_S
        self.buffering = False
        self.hook_errors = 0
        self.last_hook_error: str | None = None
        self.pools_refused = 0
        self.renamed: dict[str, str] = {}
        self.retired: list[WatchedPool] = []
        self.on_activity: Callable[[], None] = _nothing
        self.on_shutdown: Callable[[], None] = _nothing
        self.on_fork: list[Callable[[], None]] = []
        self.finders: list[Callable[[object], PoolStats | None]] = []
        self._max_pools = max_pools
        self._naming = threading.Lock()  # for the pusher's and the provider's threads, never hooks

    def watch(self, owner: object, stats: PoolStats) -> bool:
        """Start to watch a pool that lives as long as `owner`; return False if there is no room."""
        if len(self.pools) >= self._max_pools and not self._drop_one():
            self.pools_refused += 1
            return False
        if self.buffering:
            stats.buffer_samples()
        stats.notice_waits(self.slow_wait_s)
        stats.reader = ContainedReader(stats.reader, self.contain)
        self.pools.append(WatchedPool(stats, weakref.ref(owner)))
        return True

    def rename(self, target: object, name: str) -> bool:
        """Name the pool of `target`; return False if no adapter finds one."""
        found = (stats for find in self.finders if (stats := find(target)) is not None)
        stats = next(found, None)
        if stats is None:
            return False
        stats.identity = replace(stats.identity, name=name)
        for pool in [pool for pool in self.pools if pool.stats is stats]:
            pool.identity = None  # `named_pools` makes unique names again
            self.creation_lines.leave_out(pool.owner())
        return True

    def unwatch(self, stats: PoolStats) -> None:
        """Stop watching a pool, because another pool counts its connections."""
        for pool in [pool for pool in self.pools if pool.stats is stats]:
            self.pools.remove(pool)

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
        """Return the pools with unique names: an equal name gets a suffix such as `-2`.

        The first pool keeps the name. The sum of an idle pool and a full one with the same name
        would hide exhaustion.
        """
        with self._naming:
            for pool in [pool for pool in self.pools if pool.is_over]:
                self.pools.remove(pool)  # the list must stay the same: a hook may append meanwhile
            pools = list(self.pools)
            for pool in pools:
                if pool.identity is None:
                    taken = {other.identity for other in pools}
                    pool.identity = self._unique(pool.stats.identity, taken)
        return [(pool.identity, pool) for pool in pools if pool.identity is not None]

    def forget_counts(self) -> None:
        """Drop all counts, in a forked child."""
        self.hook_errors = 0
        self.pools_refused = 0
        self.retired = []
        self.creation_lines.forget_made()
        self.session_errors = self.session_errors and SessionErrors()
        self._naming = threading.Lock()
        for pool in self.pools:
            pool.stats.reset()
            pool.leaks = LeakDetector()
        for forget in self.on_fork:
            forget()

    def _drop_one(self) -> bool:
        for pool in list(self.pools):
            if pool.owner() is None:
                self.pools.remove(pool)
                self.retired.append(pool)
                return True
        return False

    def _unique(self, identity: PoolIdentity, taken: set[PoolIdentity | None]) -> PoolIdentity:
        candidate, number = identity, 1
        while candidate in taken:
            number += 1
            candidate = replace(identity, name=f"{identity.name}-{number}")
        if number > 1 and len(self.renamed) < MAX_RENAMED:
            self.renamed.setdefault(identity.name, candidate.name)
        return candidate


def _nothing() -> None:
    """Do nothing until the pusher is there."""
