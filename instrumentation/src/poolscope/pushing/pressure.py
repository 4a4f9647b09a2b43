"""Decide whether a process is under pressure, so that it pushes more often."""

from collections.abc import Iterable

from poolscope.catalogue import FailureReason
from poolscope.recording.pool import PoolStats

Hurts = tuple[int, int]
"""Two counts since the start: failed or misplaced checkouts, and failed attempts to connect.

A misplaced checkout gets a connection of another process or event loop.
"""


class Pressure:
    """The failures up to the last push; new failures since then put a process under pressure."""

    def __init__(self) -> None:
        self._pushed: Hurts | None = None

    def is_on(self, pools: Iterable[PoolStats]) -> bool:
        """Return whether a caller waits, a pool is full, or something failed since the last push.

        Before the first push there is nothing to compare; that push comes soon anyway.
        """
        known = list(pools)
        is_hurt_anew = self._pushed is not None and _hurts(known) != self._pushed
        return is_hurt_anew or any(stats.waiting or _is_full(stats) for stats in known)

    def pushed(self, pools: Iterable[PoolStats]) -> None:
        """Note that all failures up to now are in a push."""
        self._pushed = _hurts(pools)


def _hurts(pools: Iterable[PoolStats]) -> Hurts:
    failed = connect = 0
    for stats in pools:
        failed += stats.failures[FailureReason.TIMEOUT] + stats.failures[FailureReason.ERROR]
        failed += stats.inherited + stats.foreign_loop
        connect += sum(list(stats.connect_errors.values()))
    return failed, connect


def _is_full(stats: PoolStats) -> bool:
    state, configuration = stats.reader.state(dict(stats.slots)), stats.reader.configuration()
    limit = configuration.max if configuration is not None else None
    return state is not None and limit is not None and state.used >= limit > 1
