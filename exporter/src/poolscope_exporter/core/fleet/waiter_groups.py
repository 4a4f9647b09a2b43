"""Group the waiting callers of a pool by phase, route and line."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from poolscope.catalogue import Phase
from poolscope_exporter.core.admission.limits import Share
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.now_places import NowPlace
from poolscope_exporter.core.model.pushes import Push, WaitingCaller

MAX_WAITERS = 100
"""The most waiting callers of one process that are read; `poolscope` lists as many."""

MAX_GROUPS = 10
"""The most groups of one pool that are kept, those with the oldest callers."""


@dataclass(frozen=True, slots=True)
class WaiterGroup:
    """The callers that wait in one phase, at one line, for one route; None is unknown.

    `age_s` is the time that the oldest of them had waited at the push, and `now` is its place.
    """

    phase: Phase
    route: str | None
    code_file: str | None
    code_line: int | None
    code_function: str | None
    age_s: float
    count: int
    now: NowPlace | None = None


@dataclass(frozen=True, slots=True)
class PoolWaiters:
    """The waiting callers of one pool.

    `waiting` is their number; `listed` is the number of listed callers, which form the groups.
    """

    waiting: int
    listed: int
    groups: tuple[WaiterGroup, ...]


def group_waiters(waiting: int, callers: Iterable[WaitingCaller]) -> PoolWaiters:
    """Return the groups of a pool's waiting callers, the group with the oldest caller first."""
    together: dict[
        tuple[Phase, str | None, str | None, int | None, str | None], list[WaitingCaller]
    ]
    together = defaultdict(list)
    for each in callers:
        place = each.code_file, each.code_line, each.code_function
        together[each.phase, each.route, *place].append(each)
    groups = []
    for key, found in together.items():
        oldest = max(found, key=lambda each: each.age_s)
        groups.append(WaiterGroup(*key, oldest.age_s, len(found), oldest.now))
    groups.sort(key=lambda group: -group.age_s)
    listed = sum(group.count for group in groups)
    return PoolWaiters(waiting, listed, tuple(groups[:MAX_GROUPS]))


class ProcessWaiters:
    """The waiting callers of one process; all processes share the room for their groups."""

    def __init__(self, max_pools: int, share: Share) -> None:
        self._max_pools = max_pools
        self._share = share
        self._by_pool: Mapping[Pool, PoolWaiters] = {}

    def replace_waiters(self, push: Push) -> Counter[Refusal]:
        """Replace the waiting callers by those of a push; earlier ones may have stopped waiting."""
        self.drop_waiters()
        room = MAX_WAITERS
        refused: Counter[Refusal] = Counter()
        kept: dict[Pool, PoolWaiters] = {}
        for each in push.waiters[: self._max_pools]:
            listed = each.listed[:room]
            room -= len(listed)
            refused[Refusal.TOO_MANY_WAITERS] += len(each.listed) - len(listed)
            waiters = group_waiters(each.waiting, listed)
            if self._share.claim(len(waiters.groups)):
                kept[each.pool] = waiters
            else:
                refused[Refusal.TOO_MANY_WAITERS] += len(listed)
        self._by_pool = kept
        return +refused

    def pool_waiters(self, pool: Pool) -> PoolWaiters | None:
        """Return the waiting callers of one pool, or None if they are unknown."""
        return self._by_pool.get(pool)

    def drop_waiters(self) -> None:
        """Drop all waiting callers, and release their room."""
        self._share.release(sum(len(each.groups) for each in self._by_pool.values()))
        self._by_pool = {}
