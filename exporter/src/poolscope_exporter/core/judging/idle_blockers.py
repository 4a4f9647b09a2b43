"""Find the pool with an idle connection that still holds a session-level lock.

PostgreSQL releases such an advisory lock at an unlock or at the end of the session. The reset of a
returned connection is a rollback, which does neither.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from poolscope_exporter.core.blocking.lock_parties import (
    IDLE_S,
    SessionAt,
    SessionOwners,
    pools_of_sessions,
)
from poolscope_exporter.core.judging.verdicts import Blocker, Judgement
from poolscope_exporter.core.linking.link import Link
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.sessions import Session

ADVISORY: Final = "advisory"
"""`wait_event` of a session that waits for an advisory lock."""

NOBODY: Final = SessionOwners({}, {}, lambda _server, _session: None)
"""The owners if none is known."""


def name_idle_pools(
    judgements: Sequence[Judgement],
    pids: Mapping[Pool, frozenset[int]],
    owners: SessionOwners = NOBODY,
) -> list[Judgement]:
    """Return the judgements with the pool of each blocker that is an idle connection.

    `pids` are the backend PIDs of all connections of each pool. A connection that a known checkout
    holds is not idle in its pool, even if its session is idle. Another pool than the waiting one is
    named only if it is the session's certain owner.
    """
    if not any(each.blocked_by for each in judgements):
        return list(judgements)
    held: dict[Pool, set[int | None]] = defaultdict(set)
    for each in judgements:
        held[each.checkout.pool].add(each.checkout.backend_pid)
    idle = {pool: listed - held[pool] for pool, listed in pids.items()}
    return [_named(each, idle, owners) if each.blocked_by else each for each in judgements]


def session_owners(
    judgements: Sequence[Judgement],
    lock_waits: Iterable[LockWaits],
    holders: Mapping[SessionAt, Checkout],
    listed: Mapping[Pool, frozenset[int]],
    *,
    server_of: Callable[[Pool], str | None],
    last_of: Callable[[str, Session], Checkout | None],
) -> SessionOwners:
    """Return the owners of the sessions that hold locks or wait for them; see SessionOwners."""
    wanted = {each.server: set(each.sessions) for each in lock_waits}
    for each in judgements:
        if isinstance(each.link, Link):
            blockers = {blocker.pid for blocker in each.blocked_by}
            wanted.setdefault(each.link.server, set()).update(blockers)
    return SessionOwners(holders, pools_of_sessions(wanted, listed, server_of), last_of)


def with_sessions(
    judgements: Sequence[Judgement], lock_waits: Iterable[LockWaits]
) -> list[Judgement]:
    """Return the judgements with the server's data on each blocker, as far as it was queried."""
    sessions = {each.server: each.sessions for each in lock_waits}

    def identified(judgement: Judgement) -> Judgement:
        if not judgement.blocked_by or judgement.link.server not in sessions:
            return judgement
        known = sessions[judgement.link.server]
        found = (replace(each, session=known.get(each.pid)) for each in judgement.blocked_by)
        return replace(judgement, blocked_by=tuple(found))

    return [identified(each) for each in judgements]


def _named(
    judgement: Judgement, idle: Mapping[Pool, AbstractSet[int]], owners: SessionOwners
) -> Judgement:
    link = judgement.link
    if not isinstance(link, Link) or link.session.wait_event != ADVISORY:
        return judgement
    resting = {each.pid for each in link.session.idle_blockers if each.idle_s >= IDLE_S}
    own, server = judgement.checkout.pool, link.server

    def named(blocker: Blocker) -> Blocker:
        if blocker.checkout is not None or blocker.pid not in resting:
            return blocker
        pools = [pool for pool in idle if _is_one(pool, own) and blocker.pid in idle[pool]]
        # The pool of the same process is first, because the others are its copies in the service.
        pools.sort(key=lambda pool: pool != own)
        owner = owners.pool_of(server, blocker.pid)
        if not pools and owner and blocker.pid in idle.get(owner, ()):
            pools = [owner]
        if not pools:
            return blocker
        last = owners.last_checkout_of(server, blocker.session)
        is_foreign = not _is_one(pools[0], own)
        return replace(blocker, idle_in=pools[0], is_foreign=is_foreign, last=last)

    return replace(judgement, blocked_by=tuple(map(named, judgement.blocked_by)))


def _is_one(pool: Pool, other: Pool) -> bool:
    """Return whether two processes of a service have the same pool, to the same database."""
    one, another = pool.instance, other.instance
    return (one.namespace, one.name) == (another.namespace, another.name) and (
        replace(pool, instance=another) == other
    )
