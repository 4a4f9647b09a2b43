"""Count the pools that each line of the application makes, to find lines that make too many."""

from collections import Counter, deque
from dataclasses import dataclass
from weakref import ReferenceType, WeakSet, ref

from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity

MADE_LIMIT = 1000
"""Most pools that are recorded; the oldest are dropped first."""

RECENT_S = 600.0
"""How long a collected pool still counts: an engine per request lives for a much shorter time."""

Line = tuple[PoolIdentity, str]
"""The identity of the pools before their names were made unique, and the line that made them."""


@dataclass(frozen=True, slots=True)
class MadePool:
    """One pool, with the line of application code that made it."""

    owner: ReferenceType[object]
    identity: PoolIdentity
    site: Site
    made_at_s: float

    def counts(self, now_s: float) -> bool:
        """Return whether the pool is alive, or was made in the last 10 minutes."""
        return now_s - self.made_at_s <= RECENT_S or self.owner() is not None


class CreationLines:
    """The pools that were made in this process, by line; hooks only append."""

    def __init__(self) -> None:
        self._made: deque[MadePool] = deque(maxlen=MADE_LIMIT)
        self._left_out: WeakSet[object] = WeakSet()

    def note_made(
        self, owner: object, identity: PoolIdentity, site: Site, made_at_s: float
    ) -> None:
        """Note a pool that lives as long as `owner`, if a line of the application made it."""
        if site is not UNKNOWN_SITE:
            self._made.append(MadePool(ref(owner), identity, site, made_at_s))

    def leave_out(self, owner: object) -> None:
        """Stop counting a pool: the application named it, so it has several pools on purpose."""
        self._left_out.add(owner)

    def count_made(self, now_s: float) -> Counter[Line]:
        """Return how many pools each line made, and drop the pools that no longer count."""
        for _ in range(len(self._made)):
            # One at a time, from one end to the other, because a hook may append meanwhile.
            made = self._made.popleft()
            if made.counts(now_s) and made.owner() not in self._left_out:
                self._made.append(made)
        return Counter((made.identity, made.site.label) for made in list(self._made))

    def forget_made(self) -> None:
        """Drop every pool: a forked child must not count the pools of its parent."""
        self._made.clear()
