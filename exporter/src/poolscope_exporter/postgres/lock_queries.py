"""Query which sessions wait for locks, and walk from each to the session at the root."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Final

from psycopg.rows import DictRow

from poolscope_exporter import clock
from poolscope_exporter.core.model.lock_waits import PREPARED, LockWaits
from poolscope_exporter.postgres.rows import Names, Row, session_of

MAX_LOCK_WAITERS: Final = 50
"""The most sessions with a lock wait that one poll asks about."""

MAX_WALKED: Final = 100
"""The most sessions of one walk: each query about one takes every partition of the lock manager."""

MAX_STEPS: Final = 16
"""The most queries of one walk. A queue for one row takes three, however long it is."""

Fetch = Callable[[str, Row | None], Awaitable[Sequence[DictRow]]]
"""Returns the rows of one of the statements in `sql/`, with these parameters."""


async def blocking_pids(fetch: Fetch, pids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Return the PIDs that each session waits for, without duplicates; see LockWaits."""
    rows = await fetch("blockers", {"pids": list(pids)}) if pids else []
    return {row["pid"]: tuple(dict.fromkeys(row["blocked_by"])) for row in rows}


async def read_lock_waits(fetch: Fetch, server: str, names: Names) -> LockWaits:
    """Return the sessions that wait for a lock, and all on their way to a root.

    Beyond MAX_LOCK_WAITERS, the youngest waits are only counted.
    """
    taken_at_s = clock.monotonic()
    waiting = await fetch("lock_waiters", {"most": MAX_LOCK_WAITERS})
    waits = await _walk(fetch, [row["pid"] for row in waiting])
    pids = sorted({*waits, *chain(*waits.values())} - {PREPARED})
    rows = await fetch("suspects", {"pids": pids}) if pids else []
    return LockWaits(
        server=server,
        taken_at_s=taken_at_s,
        waits=waits,
        sessions={row["pid"]: session_of(row, names) for row in rows},
        waiting=waiting[0]["waiting"] if waiting else 0,
    )


async def _walk(fetch: Fetch, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
    """Return the waits of these sessions, of those they wait for, and so on."""
    waits: dict[int, tuple[int, ...]] = {}
    for _ in range(MAX_STEPS):
        found = await blocking_pids(fetch, pids[: MAX_WALKED - len(waits)])
        waits.update(found)
        ahead = dict.fromkeys(chain(*found.values()))
        pids = [pid for pid in ahead if pid not in waits and pid != PREPARED]
        if not pids or len(waits) >= MAX_WALKED:
            break
    # A session that ended its wait before it was asked about holds nobody up any more.
    blocked = {pid for pid, blockers in waits.items() if blockers}
    return {
        pid: blockers
        for pid, blockers in waits.items()
        if pid in blocked or any(pid in each for each in waits.values())
    }
