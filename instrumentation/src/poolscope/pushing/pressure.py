"""Decide whether a process is under pressure: its pushes then come faster."""

from collections.abc import Iterable

from poolscope.catalogue import FailureReason
from poolscope.recording.pool import PoolStats

Hurts = tuple[int, int]
"""How many callers failed, and how many attempts to open a connection did, since the start."""


class Pressure:
    """What hurt callers up to the last push; a process that is hurt anew is under pressure."""

    def __init__(self) -> None:
        self._pushed: Hurts | None = None

    def is_on(self, pools: Iterable[PoolStats]) -> bool:
        """Return whether a caller waits, a pool is full, or something failed since the last push.

        Before the first push nothing was pushed that could be compared: it comes soon anyway.
        """
        known = list(pools)
        is_hurt_anew = self._pushed is not None and _hurts(known) != self._pushed
        return is_hurt_anew or any(stats.waiting or _is_full(stats) for stats in known)

    def pushed(self, pools: Iterable[PoolStats]) -> None:
        """Note that everything up to now is in a push."""
        self._pushed = _hurts(pools)


def _hurts(pools: Iterable[PoolStats]) -> Hurts:
    failed = connect = 0
    for stats in pools:
        failed += stats.failures[FailureReason.TIMEOUT] + stats.failures[FailureReason.ERROR]
        connect += sum(stats.connect_errors.copy().values())
    return failed, connect


def _is_full(stats: PoolStats) -> bool:
    state, configuration = stats.reader.state(stats.slots.copy()), stats.reader.configuration()
    limit = configuration.max if configuration is not None else None
    return state is not None and limit is not None and state.used >= limit > 1
