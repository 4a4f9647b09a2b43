"""Describe each root blocker: its session, the sessions behind it, and the way to end it."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolscope_exporter.core.blocking.lock_forest import LockTree, RootKind, lock_forest
from poolscope_exporter.core.blocking.lock_parties import LockParty, SessionOwners
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.sessions import Session, SessionState


@dataclass(frozen=True, slots=True)
class LockWaiter:
    """A session that waits, `depth` steps below the root, next after the session `behind`.

    It also waits for `others`.
    """

    party: LockParty
    behind: int
    depth: int
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RootBlocker:
    """A session that keeps others waiting, with its `queue` in the order of the tree.

    On the same server, `unasked` further sessions wait for a lock, which may be this one's.
    """

    server: str
    kind: RootKind
    party: LockParty
    queue: tuple[LockWaiter, ...]
    unasked: int = 0

    @property
    def waiting(self) -> int:
        """Return how many sessions are known to wait for it, directly or not."""
        return len(self.queue)

    @property
    def terminate(self) -> str | None:
        """Return the statement that ends its session; None if no session, or a deadlock.

        PostgreSQL resolves a deadlock by itself, after `deadlock_timeout`.
        """
        if self.kind in (RootKind.PREPARED, RootKind.DEADLOCK):
            return None
        return f"SELECT pg_terminate_backend({self.party.pid})"

    @property
    def parties(self) -> tuple[LockParty, ...]:
        """Return every session of the tree, the root first."""
        return (self.party, *(each.party for each in self.queue))


def transaction_age_s(session: Session) -> float | None:
    """Return the age of a session's transaction; None without one, or if it is unknown.

    An aborted transaction has no start, so this is the time since it was aborted.
    """
    if session.state is SessionState.IDLE_IN_TRANSACTION_ABORTED and session.xact_age_s is None:
        return session.state_age_s
    return session.xact_age_s


def root_blockers(
    found: Iterable[LockWaits], owners: SessionOwners, shortest_s: float
) -> tuple[RootBlocker, ...]:
    """Return the root blockers of all servers, the one with the longest queue first.

    A tree with no statement older than `shortest_s` is left out: it does no harm. So is a tree with
    a root that ended between two queries.
    """
    blockers = [each for waits in found for each in _of_server(waits, owners, shortest_s)]
    return tuple(sorted(blockers, key=lambda each: -each.waiting))


def _of_server(waits: LockWaits, owners: SessionOwners, shortest_s: float) -> list[RootBlocker]:
    trees = lock_forest(waits.waits)
    asked = sum(1 for blockers in waits.waits.values() if blockers)
    return [
        RootBlocker(
            waits.server,
            tree.kind,
            _party(waits, tree.root, owners),
            tuple(
                LockWaiter(_party(waits, each.pid, owners), each.behind, each.depth, each.others)
                for each in tree.queue
            ),
            unasked=max(0, waits.waiting - asked),
        )
        for tree in trees
        if _has_root(tree, waits) and _is_long(tree, waits, shortest_s)
    ]


def _party(waits: LockWaits, pid: int, owners: SessionOwners) -> LockParty:
    return owners.party(waits.server, pid, waits.sessions.get(pid))


def _has_root(tree: LockTree, waits: LockWaits) -> bool:
    return tree.kind is RootKind.PREPARED or tree.root in waits.sessions


def _is_long(tree: LockTree, waits: LockWaits, shortest_s: float) -> bool:
    """Return whether a waiting statement is old enough; an unknown age may be a long one."""
    waiting = [waits.sessions.get(each.pid) for each in tree.queue]
    ages_s = [each.query_age_s if each else None for each in waiting]
    return any(age_s is None or age_s >= shortest_s for age_s in ages_s)
