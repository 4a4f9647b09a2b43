"""Find the root of each lock queue: the session that waits for no lock and keeps others waiting.

`pg_blocking_pids` returns the sessions that directly precede a waiting one. Where many transactions
update one row, that is usually the next waiter (`Lock/tuple`), not the session that holds the row.
So the walk goes on until it meets a session that does not wait.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from poolscope_exporter.core.model.lock_waits import PREPARED

Waits = Mapping[int, Sequence[int]]
"""The PIDs that each queried session waits for; none if it does not wait."""


class RootKind(StrEnum):
    """The reason why a walk ends at this root.

    A `holder` waits for no lock. A `prepared_transaction` has no session. The members of a
    `deadlock` wait for each other. A root of kind `unknown` was not queried, and may wait too.
    """

    HOLDER = "holder"
    PREPARED = "prepared_transaction"
    DEADLOCK = "deadlock"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class QueuedSession:
    """A waiting session, `depth` steps below its root, next after the session `behind`.

    It also waits for `others`, which may hang under another root.
    """

    pid: int
    behind: int
    depth: int
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LockTree:
    """A root and all sessions that wait for it, each after the session that it waits behind."""

    root: int
    kind: RootKind
    queue: tuple[QueuedSession, ...]


def lock_forest(waits: Waits) -> list[LockTree]:
    """Return the trees, the one with the longest queue first.

    Each waiting session is in exactly one tree: under the nearest root, and a holder precedes any
    other kind of root. If none of its paths ends, it is in a deadlock or behind one.
    """
    waiters = _waiters(waits)
    parents: dict[int, int | None] = {}
    kinds: dict[int, RootKind] = {}
    ends = sorted(waiters.keys() - {pid for pid, blockers in waits.items() if blockers})
    for kind in (RootKind.HOLDER, RootKind.PREPARED, RootKind.UNKNOWN):
        roots = [pid for pid in ends if _kind(pid, waits) is kind]
        kinds.update(dict.fromkeys(roots, kind))
        _hang(roots, waiters, parents)
    for pid in sorted(pid for pid, blockers in waits.items() if blockers):
        if pid not in parents:
            root = min(_cycle(pid, waits, parents))
            kinds[root] = RootKind.DEADLOCK
            _hang([root], waiters, parents)
    children = _children(parents)
    trees = [LockTree(root, kind, _queue(root, children, waits)) for root, kind in kinds.items()]
    return sorted((tree for tree in trees if tree.queue), key=lambda tree: -len(tree.queue))


def _waiters(waits: Waits) -> dict[int, list[int]]:
    """Return the sessions that wait for each session."""
    found: dict[int, list[int]] = {}
    for pid, blockers in sorted(waits.items()):
        for blocker in dict.fromkeys(blockers):
            found.setdefault(blocker, []).append(pid)
    return found


def _kind(pid: int, waits: Waits) -> RootKind:
    if pid == PREPARED:
        return RootKind.PREPARED
    return RootKind.HOLDER if pid in waits else RootKind.UNKNOWN


def _hang(
    roots: Iterable[int], waiters: Mapping[int, Sequence[int]], parents: dict[int, int | None]
) -> None:
    """Add the roots, and under them every session that has no place yet, the nearest ones first."""
    level = [root for root in roots if root not in parents]
    parents.update(dict.fromkeys(level))
    while level:
        below = []
        for pid in level:
            for waiter in waiters.get(pid, ()):
                if waiter not in parents:
                    parents[waiter] = pid
                    below.append(waiter)
        level = below


def _cycle(start: int, waits: Waits, parents: Mapping[int, int | None]) -> list[int]:
    """Return the sessions of a cycle that a session without a place waits for."""
    path: dict[int, None] = {}
    pid = start
    while pid not in path:
        path[pid] = None
        # A session that has a place leads to a root, so its waiters would have one as well.
        pid = next(blocker for blocker in waits[pid] if blocker not in parents)
    return list(path)[list(path).index(pid) :]


def _children(parents: Mapping[int, int | None]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        if parent is not None:
            found.setdefault(parent, []).append(pid)
    return found


def _queue(
    root: int, children: Mapping[int, Sequence[int]], waits: Waits
) -> tuple[QueuedSession, ...]:
    """Return the sessions under a root in the order of the tree, from the top."""
    found = []
    stack = [(pid, root, 1) for pid in reversed(children.get(root, ()))]
    while stack:
        pid, behind, depth = stack.pop()
        others = tuple(dict.fromkeys(each for each in waits[pid] if each != behind))
        found.append(QueuedSession(pid, behind, depth, others))
        stack += [(each, pid, depth + 1) for each in reversed(children.get(pid, ()))]
    return tuple(found)
