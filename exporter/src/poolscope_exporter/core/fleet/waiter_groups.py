"""Put the waiting callers of a pool together by what they wait for, and where."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from poolscope.catalogue import Phase
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.fleet.limits import Budget
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.pushes import Push, WaitingCaller

MAX_WAITERS = 100
"""Waiting callers that are read of one process: as many as `poolscope` lists."""

MAX_GROUPS = 10
"""Groups that are kept of one pool, the one with the oldest caller first."""


@dataclass(frozen=True, slots=True)
class WaiterGroup:
    """Callers that wait in one phase at one line for one route; None is unknown.

    `age_s` is how long the oldest of them has waited, as of the push.
    """

    phase: Phase
    route: str | None
    code_file: str | None
    code_line: int | None
    code_function: str | None
    age_s: float
    count: int


@dataclass(frozen=True, slots=True)
class PoolWaiters:
    """The waiting callers of one pool.

    `waiting` is the true number, `listed` how many of them the groups were made from.
    """

    waiting: int
    listed: int
    groups: tuple[WaiterGroup, ...]


def group_waiters(waiting: int, callers: Iterable[WaitingCaller]) -> PoolWaiters:
    """Return the groups of a pool's waiting callers, those with the oldest caller first."""
    ages: dict[tuple[Phase, str | None, str | None, int | None, str | None], list[float]]
    ages = defaultdict(list)
    for each in callers:
        place = each.code_file, each.code_line, each.code_function
        ages[each.phase, each.route, *place].append(each.age_s)
    groups = [WaiterGroup(*key, max(found), len(found)) for key, found in ages.items()]
    groups.sort(key=lambda group: -group.age_s)
    listed = sum(group.count for group in groups)
    return PoolWaiters(waiting, listed, tuple(groups[:MAX_GROUPS]))


class ProcessWaiters:
    """The waiting callers of one process; all processes share the room for their groups."""

    def __init__(self, max_pools: int, budget: Budget) -> None:
        self._max_pools = max_pools
        self._budget = budget
        self._by_pool: Mapping[Pool, PoolWaiters] = {}

    def replace_waiters(self, push: Push) -> Counter[Refusal]:
        """Keep the waiting callers of this push alone: those of the last one may wait no more."""
        self.drop_waiters()
        room = MAX_WAITERS
        refused: Counter[Refusal] = Counter()
        kept: dict[Pool, PoolWaiters] = {}
        for each in push.waiters[: self._max_pools]:
            listed = each.listed[:room]
            room -= len(listed)
            refused[Refusal.TOO_MANY_WAITERS] += len(each.listed) - len(listed)
            waiters = group_waiters(each.waiting, listed)
            if self._budget.reserve(len(waiters.groups)):
                kept[each.pool] = waiters
            else:
                refused[Refusal.TOO_MANY_WAITERS] += len(listed)
        self._by_pool = kept
        return +refused

    def pool_waiters(self, pool: Pool) -> PoolWaiters | None:
        """Return the waiting callers of one pool, None where they are not known."""
        return self._by_pool.get(pool)

    def drop_waiters(self) -> None:
        """Forget everything, and give back its room."""
        self._budget.give_back(sum(len(each.groups) for each in self._by_pool.values()))
        self._by_pool = {}
