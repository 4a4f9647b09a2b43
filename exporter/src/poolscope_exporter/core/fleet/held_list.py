"""The held checkouts of one process, replaced only by a complete list."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from poolscope.catalogue import Publisher
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.fleet.limits import ProcessUsage, SharedBudgets
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.pushes import Push

MAX_HELD = 500
"""Held checkouts that are kept of one process: as many as `poolscope` lists."""


@dataclass(frozen=True, slots=True)
class CheckoutReport:
    """A held checkout as last reported; times are the exporter's monotonic clock."""

    checkout: Checkout
    reported_at_s: float
    first_reported_at_s: float
    interval_s: float
    publisher: Publisher

    def age_s(self, now_s: float) -> float:
        """Return how long the connection is out, in seconds, as of `now_s`."""
        return max(0.0, self.checkout.age_s + (now_s - self.reported_at_s))


@dataclass(frozen=True, slots=True)
class ListedCheckouts:
    """The held checkouts of one pool: how many there are, and those that the push listed."""

    held: int
    listed: tuple[CheckoutReport, ...]
    reported_at_s: float


class HeldList:
    """What one process holds: its checkouts by pool, and the pids of all its connections.

    Both take their room from `budgets`, which all processes share.
    """

    def __init__(self, max_pools: int, budgets: SharedBudgets) -> None:
        self.backend_pids: Mapping[Pool, frozenset[int]] = {}
        self._max_pools = max_pools
        self._budgets = budgets
        self._used = ProcessUsage()
        self._lists: dict[Pool, ListedCheckouts] = {}

    def replace_lists(self, push: Push, interval_s: float, now_s: float) -> Counter[Refusal]:
        """Take the lists and the pids of a push in; return what of them was refused."""
        refused = self._replace_checkouts(push, interval_s, now_s)
        refused.update(self._replace_pids(push))
        self._settle()
        return refused

    def lists_since(self, since_s: float) -> dict[Pool, ListedCheckouts]:
        """Return the lists that arrived then or later."""
        return {pool: held for pool, held in self._lists.items() if held.reported_at_s >= since_s}

    def drop_lists(self, before_s: float) -> None:
        """Forget the lists that arrived before then."""
        self._lists = self.lists_since(before_s)
        self._settle()

    def drop_all(self) -> None:
        """Forget everything, and give back its room."""
        self._lists, self.backend_pids = {}, {}
        self._settle()

    def _replace_checkouts(self, push: Push, interval_s: float, now_s: float) -> Counter[Refusal]:
        first_reported_at_s = self._first_reported_at_s()
        room = self._room_beside({held.pool for held in push.held})
        refused: Counter[Refusal] = Counter()
        for held in push.held:
            if held.pool not in self._lists and len(self._lists) >= self._max_pools:
                refused[Refusal.TOO_MANY_POOLS] += 1
                continue
            listed = held.listed[:room]
            room -= len(listed)
            refused[Refusal.TOO_MANY_CHECKOUTS] += len(held.listed) - len(listed)
            reported = tuple(
                CheckoutReport(
                    c, now_s, first_reported_at_s.get(c.id, now_s), interval_s, push.publisher
                )
                for c in listed
            )
            self._lists[held.pool] = ListedCheckouts(held.held, reported, now_s)
        return +refused

    def _first_reported_at_s(self) -> dict[int, float]:
        return {
            reported.checkout.id: reported.first_reported_at_s
            for held in self._lists.values()
            for reported in held.listed
        }

    def _room_beside(self, pools: Collection[Pool]) -> int:
        """Return how many checkouts the lists of these pools may have, which replace others."""
        others = sum(len(each.listed) for pool, each in self._lists.items() if pool not in pools)
        return max(0, min(MAX_HELD, self._budgets.held.room + self._used.held) - others)

    def _replace_pids(self, push: Push) -> Counter[Refusal]:
        room = self._budgets.sessions.room + self._used.sessions
        refused: Counter[Refusal] = Counter()
        kept: dict[Pool, frozenset[int]] = {}
        for pool, pids in islice(push.backend_pids.items(), self._max_pools):
            if len(pids) > room:
                refused[Refusal.TOO_MANY_SESSIONS] += 1
                continue
            kept[pool] = pids
            room -= len(pids)
        self.backend_pids = kept
        return refused

    def _settle(self) -> None:
        held = sum(len(each.listed) for each in self._lists.values())
        sessions = sum(map(len, self.backend_pids.values()))
        self._budgets.held.give_back(self._used.held - held)
        self._budgets.sessions.give_back(self._used.sessions - sessions)
        self._used = ProcessUsage(held, sessions)
