"""State how much the receiver takes from all senders together, and from each of them."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_SESSIONS = 200_000
"""Backend pids that are remembered of all processes: more than any set of servers has."""

MAX_WAITER_GROUPS = 20_000
"""Groups of waiting callers that are remembered of all processes together."""

TEXT_OF_A_SERIES = 300
"""Characters that the name and the attributes of an ordinary series do not exceed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of memory and time; each refusal beyond them is counted and answered.

    `max_body` and `max_decompressed` are bytes; names in `_s` are seconds. An instance is one
    application process. `max_series` and `max_held_checkouts` are sums over all instances.
    """

    max_body: int = 4 * 1024 * 1024
    max_decompressed: int = 16 * 1024 * 1024
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    max_connections: int = 2_000
    max_instances: int = 1_250
    max_pools_per_instance: int = 50
    max_series_per_pool: int = 400
    max_series: int = 200_000
    max_routes_per_pool: int = 200
    max_held_checkouts: int = 20_000


class Budget:
    """Room that many share; each takes it before it keeps a thing, and gives it back after."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def room(self) -> int:
        """Return for how many things there is room."""
        return max(0, self.limit - self.used)

    def reserve(self, count: int = 1) -> bool:
        """Take room for so many things; return False where there is none."""
        if self.used + count > self.limit:
            return False
        self.used += count
        return True

    def give_back(self, count: int = 1) -> None:
        """Give back the room of so many things."""
        self.used -= count


def size_of(metric: str, attributes: Mapping[str, str]) -> int:
    """Return how much of the room for series one takes: those with long texts count as several."""
    return 1 + (len(metric) + sum(map(len, attributes.values()))) // TEXT_OF_A_SERIES


class Share:
    """The part of a budget that one process uses."""

    def __init__(self, budget: Budget) -> None:
        self.used = 0
        self._budget = budget

    @property
    def room(self) -> int:
        """Return for how many more things of anybody there is room."""
        return self._budget.room

    def claim(self, count: int = 1) -> bool:
        """Take room for so many things; return False if there is none."""
        has_room = self._budget.reserve(count)
        self.used += count if has_room else 0
        return has_room

    def release(self, count: int = 1) -> None:
        """Give back the room of so many things."""
        self._budget.give_back(count)
        self.used -= count


@dataclass(frozen=True, slots=True)
class Shares:
    """The room that one process uses: for series, held checkouts, waiters and backend PIDs."""

    series: Share
    held: Share
    waiters: Share
    sessions: Share


class SharedBudgets:
    """The room that all processes share: for series, held checkouts, waiters and backend PIDs."""

    def __init__(self, max_series: int, max_held: int) -> None:
        self.series = Budget(max_series)
        self.held = Budget(max_held)
        self.waiters = Budget(MAX_WAITER_GROUPS)
        self.sessions = Budget(MAX_SESSIONS)

    def shares(self) -> Shares:
        """Return the shares of a process that is new."""
        return Shares(
            Share(self.series), Share(self.held), Share(self.waiters), Share(self.sessions)
        )
