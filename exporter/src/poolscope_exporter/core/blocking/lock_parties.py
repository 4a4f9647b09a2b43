"""Name the sessions of a lock queue: by the checkout, or the pool, that has their connection."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.sessions import Session, SessionState

IDLE_S: Final = 1.0
"""A younger checkout is not listed, and may be idle between two statements."""

SessionAt = tuple[str, int]
"""A server and a backend PID."""


@dataclass(frozen=True, slots=True)
class LockParty:
    """A session that holds a lock or waits for one, and the code that uses its connection.

    A prepared transaction has no `session`. The connection belongs to `pool`. A known `checkout`
    holds it. If it is idle in its pool, `last` is the last listed checkout on it. None is unknown.
    """

    pid: int
    session: Session | None = None
    pool: Pool | None = None
    checkout: Checkout | None = None
    last: Checkout | None = None

    @property
    def idle_in(self) -> Pool | None:
        """Return the pool with this connection, if it is idle there and no known checkout has it.

        Such a session holds a lock that its last user did not release: only a session-level
        advisory lock outlives its transaction.
        """
        return self.pool if self.checkout is None and is_idle(self.session) else None


def is_idle(session: Session | None) -> bool:
    """Return whether a session runs no statement and has no open transaction, for a second."""
    if session is None or session.state is not SessionState.IDLE:
        return False
    return session.state_age_s is not None and session.state_age_s >= IDLE_S


class SessionOwners:
    """The checkouts and the pools of sessions.

    The checkouts behind linked sessions are `holders`. The `pools` list a session's PID and lead
    directly to its server. The last listed checkout of a session, by its server, is from `last_of`.
    """

    def __init__(
        self,
        holders: Mapping[SessionAt, Checkout],
        pools: Mapping[SessionAt, Pool],
        last_of: Callable[[str, Session], Checkout | None],
    ) -> None:
        self._holders = holders
        self._pools = pools
        self._last_of = last_of

    def pool_of(self, server: str, pid: int) -> Pool | None:
        """Return the pool with the session's connection, or None if it is not certain."""
        return self._pools.get((server, pid))

    def last_checkout_of(self, server: str, session: Session | None) -> Checkout | None:
        """Return the last listed checkout of a session, if its connection is still in the pool."""
        last = self._last_of(server, session) if session else None
        is_same = last is not None and session and last.pool == self.pool_of(server, session.pid)
        return last if is_same else None

    def party(self, server: str, pid: int, session: Session | None) -> LockParty:
        """Return the session with the code that uses its connection."""
        holder = self._holders.get((server, pid))
        return LockParty(
            pid=pid,
            session=session,
            pool=holder.pool if holder else self.pool_of(server, pid),
            checkout=holder,
            last=self.last_checkout_of(server, session) if is_idle(session) else None,
        )


def pools_of_sessions(
    requested: Mapping[str, AbstractSet[int]],
    listed: Mapping[Pool, frozenset[int]],
    server_of: Callable[[Pool], str | None],
) -> dict[SessionAt, Pool]:
    """Return the pool of each requested session, by the PIDs that each pool lists.

    A PID is unique on one server only. If several pools that lead there list it, one of them is
    wrong or a fork shares the connection, so none is named.
    """
    everywhere = frozenset().union(*requested.values())
    claims: dict[SessionAt, list[Pool]] = defaultdict(list)
    for pool, pids in listed.items():
        if found := pids & everywhere:
            server = server_of(pool)
            for pid in found & requested.get(server or "", frozenset()):
                claims[server or "", pid].append(pool)
    return {at: pools[0] for at, pools in claims.items() if len(pools) == 1}
