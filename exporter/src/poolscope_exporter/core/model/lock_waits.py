"""The sessions of a server that wait for locks, and the sessions that they wait for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.model.sessions import Session

PREPARED: Final = 0
"""The PID that `pg_blocking_pids` returns for prepared transactions, which have no session."""


@dataclass(frozen=True, slots=True)
class LockWaits:
    """One server's answer about its lock waits.

    For each session that was queried, `waits` has the PIDs that `pg_blocking_pids` returned. These
    hold the lock, or precede the session in its queue. The tuple is empty if it waits for none. A
    PID without a key was not queried. The exporter's monotonic clock when the first query was sent
    is `taken_at_s`. As far as its role can see, `waiting` sessions of the server wait for a lock.
    """

    server: str
    taken_at_s: float
    waits: Mapping[int, tuple[int, ...]]
    sessions: Mapping[int, Session]
    waiting: int
