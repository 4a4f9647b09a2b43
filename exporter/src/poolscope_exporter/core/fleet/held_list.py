"""The held checkouts of one process, replaced only by a complete list."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from poolscope.catalogue import Publisher
from poolscope_exporter.core.admission.limits import Shares
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.model.checkouts import Checkout, Pool
from poolscope_exporter.core.model.pushes import Push

MAX_HELD = 500
"""The most held checkouts of one process that are kept; `poolscope` lists as many."""


@dataclass(frozen=True, slots=True)
class CheckoutReport:
    """A held checkout as last reported; times are the exporter's monotonic clock.

    `evidence_at_s` is the time of the first push with evidence against it, or None.
    """

    checkout: Checkout
    reported_at_s: float
    first_reported_at_s: float
    interval_s: float
    publisher: Publisher
    evidence_at_s: float | None = None

    @property
    def evidence_since_s(self) -> float:
        """Return when evidence was first reported; without that time, return the last report's."""
        return self.reported_at_s if self.evidence_at_s is None else self.evidence_at_s

    def age_s(self, now_s: float) -> float:
        """Return how long the connection has been checked out at `now_s`, in seconds."""
        return max(0.0, self.checkout.age_s + (now_s - self.reported_at_s))


@dataclass(frozen=True, slots=True)
class ListedCheckouts:
    """The held checkouts of one pool: their number, and the list of the push."""

    held: int
    listed: tuple[CheckoutReport, ...]
    reported_at_s: float


class HeldList:
    """The held checkouts of one process by pool, and the backend PIDs of all its connections.

    Both use room of `shares`, which all processes share.
    """

    def __init__(self, max_pools: int, shares: Shares) -> None:
        self.backend_pids: Mapping[Pool, frozenset[int]] = {}
        self._max_pools = max_pools
        self._shares = shares
        self._lists: dict[Pool, ListedCheckouts] = {}

    def replace_lists(self, push: Push, interval_s: float, now_s: float) -> Counter[Refusal]:
        """Replace the lists and PIDs by those of a push; return the refused numbers by reason."""
        refused = self._replace_checkouts(push, interval_s, now_s)
        refused.update(self._replace_pids(push))
        self._settle()
        return refused

    def lists_since(self, since_s: float) -> dict[Pool, ListedCheckouts]:
        """Return the lists that arrived at `since_s` or later."""
        return {pool: held for pool, held in self._lists.items() if held.reported_at_s >= since_s}

    def drop_lists(self, before_s: float) -> None:
        """Drop the lists that arrived before `before_s`."""
        self._lists = self.lists_since(before_s)
        self._settle()

    def drop_all(self) -> None:
        """Drop all lists and PIDs, and release their room."""
        self._lists, self.backend_pids = {}, {}
        self._settle()

    def _replace_checkouts(self, push: Push, interval_s: float, now_s: float) -> Counter[Refusal]:
        before = self._reports_by_id()
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
                _report(c, before.get(c.id), interval_s, push.publisher, now_s) for c in listed
            )
            self._lists[held.pool] = ListedCheckouts(held.held, reported, now_s)
        return +refused

    def _reports_by_id(self) -> dict[int, CheckoutReport]:
        return {
            reported.checkout.id: reported
            for held in self._lists.values()
            for reported in held.listed
        }

    def _room_beside(self, pools: Collection[Pool]) -> int:
        """Return how many checkouts the new lists of these pools may have together."""
        others = sum(len(each.listed) for pool, each in self._lists.items() if pool not in pools)
        return max(0, min(MAX_HELD, self._shares.held.room + self._shares.held.used) - others)

    def _replace_pids(self, push: Push) -> Counter[Refusal]:
        room = self._shares.sessions.room + self._shares.sessions.used
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
        self._shares.held.release(self._shares.held.used - held)
        self._shares.sessions.release(self._shares.sessions.used - sessions)


def _report(
    checkout: Checkout,
    before: CheckoutReport | None,
    interval_s: float,
    publisher: Publisher,
    now_s: float,
) -> CheckoutReport:
    """Return the report of a checkout, with the first times from earlier pushes."""
    first_s = before.first_reported_at_s if before else now_s
    evidence_at_s = before.evidence_at_s if before else None
    if checkout.evidence is not None and evidence_at_s is None:
        evidence_at_s = now_s
    return CheckoutReport(checkout, now_s, first_s, interval_s, publisher, evidence_at_s)
