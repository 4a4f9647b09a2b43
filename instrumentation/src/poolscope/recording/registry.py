"""Keep the pools of the process and what went wrong in its hooks."""

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from poolscope.recording.leaks import LeakDetector
from poolscope.recording.pool import PoolIdentity, PoolStats

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class WatchedPool:
    """One pool as the pusher sees it: its name, its statistics, its leaks, whether it still lives.

    `identity` is unique in the process; it is given by `Registry.named_pools`.
    """

    __slots__ = ("identity", "leaks", "owner", "stats")

    def __init__(self, stats: PoolStats, owner: weakref.ReferenceType[object]) -> None:
        self.stats = stats
        self.leaks = LeakDetector()
        self.owner = owner
        self.identity: PoolIdentity | None = None

    @property
    def is_over(self) -> bool:
        """Return whether the pool is gone without ever having been used: nothing to tell of it."""
        return self.owner() is None and not any(self.stats.wait.counts)


class Registry:
    """The pools that hooks found, and the errors of our hooks.

    Hooks append without a lock; all else is for the pusher. Bounded by `max_pools`: a new pool
    takes the place of one whose owner is gone, and where none is, it is not watched and counted
    in `pools_refused`.
    """

    def __init__(self, *, max_pools: int = 50, max_routes: int = 100) -> None:
        self.pools: list[WatchedPool] = []
        self.max_routes = max_routes
        self.buffering = False
        self.hook_errors = 0
        self.last_hook_error: str | None = None
        self.pools_refused = 0
        self.renamed: list[str] = []
        self.on_activity: Callable[[], None] = _nothing
        self.on_shutdown: Callable[[], None] = _nothing
        self.on_fork: list[Callable[[], None]] = []
        self.finders: list[Callable[[object], PoolStats | None]] = []
        self._max_pools = max_pools
        self._naming = threading.Lock()  # the pusher's and the provider's threads; never a hook

    def watch(self, owner: object, stats: PoolStats) -> bool:
        """Start to account for a pool that lives as long as `owner`; False without room."""
        if len(self.pools) >= self._max_pools and not self._drop_one():
            self.pools_refused += 1
            return False
        if self.buffering:
            stats.buffer_samples()
        self.pools.append(WatchedPool(stats, weakref.ref(owner)))
        return True

    def rename(self, target: object, name: str) -> bool:
        """Name the pool that `target` is, or has; False where no adapter knows it."""
        found = (stats for find in self.finders if (stats := find(target)) is not None)
        stats = next(found, None)
        if stats is None:
            return False
        stats.identity = replace(stats.identity, name=name)
        for pool in [pool for pool in self.pools if pool.stats is stats]:
            pool.identity = None  # unique names are given anew
        return True

    def unwatch(self, stats: PoolStats) -> None:
        """Account for a pool no longer: another one counts its connections."""
        for pool in [pool for pool in self.pools if pool.stats is stats]:
            self.pools.remove(pool)

    def contain(self, error: Exception) -> None:
        """Note an error of ours inside a hook; the pusher logs it once."""
        self.hook_errors += 1
        self.last_hook_error = f"{type(error).__name__}: {error}"

    def contained(
        self, hook: Callable[_Arguments, _Result]
    ) -> Callable[_Arguments, _Result | None]:
        """Return `hook` with its errors contained: it returns None where it would raise.

        Wrap a hook once, where it is registered. What runs at each checkout or return contains its
        errors inline instead, because the wrapper costs one more call.
        """
        contain = self.contain

        @wraps(hook)
        def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result | None:
            try:
                return hook(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - nothing of ours may reach the application
                contain(error)
                return None

        return run

    def buffer_histograms(self) -> None:
        """Keep the samples of all histograms for an OpenTelemetry provider, from now on."""
        self.buffering = True
        for pool in list(self.pools):
            pool.stats.buffer_samples()

    def stop_buffering(self) -> None:
        """Keep no more samples: nobody will take them."""
        self.buffering = False
        for pool in list(self.pools):
            for _, histogram in pool.stats.timed:
                histogram.buffer = None

    def named_pools(self) -> list[tuple[PoolIdentity, WatchedPool]]:
        """Return the pools under unique names: an equal one becomes `…-2`, in order of arrival.

        Summing an idle pool with a full one of the same name would hide exhaustion.
        """
        with self._naming:
            for pool in [pool for pool in self.pools if pool.is_over]:
                self.pools.remove(pool)  # not by a new list: a hook may append meanwhile
            pools = list(self.pools)
            for pool in pools:
                if pool.identity is None:
                    taken = {other.identity for other in pools}
                    pool.identity = self._unique(pool.stats.identity, taken)
        return [(pool.identity, pool) for pool in pools if pool.identity is not None]

    def forget_counts(self) -> None:
        """Forget everything counted, in a forked child."""
        self.hook_errors = 0
        self.pools_refused = 0
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
                return True
        return False

    def _unique(self, identity: PoolIdentity, taken: set[PoolIdentity | None]) -> PoolIdentity:
        candidate, number = identity, 1
        while candidate in taken:
            number += 1
            candidate = replace(identity, name=f"{identity.name}-{number}")
        if number > 1:
            self.renamed.append(candidate.name)
        return candidate


def _nothing() -> None:
    """Do nothing: what is called until the pusher is there."""
