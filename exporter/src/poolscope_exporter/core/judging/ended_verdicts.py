"""Keep the verdicts of ended checkouts briefly, so that short holds are judged as well."""

from collections import Counter, deque
from collections.abc import Collection
from typing import Final

from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.model.checkouts import Pool

ENDED_FOR_S: Final = 5.0
"""The time for which an ended checkout counts: the default interval of pushes."""

MAX_ENDED: Final = 500
"""The largest number of ended checkouts kept per pool."""


class EndedVerdicts:
    """The verdicts on checkouts that ended recently, by pool; times are one monotonic clock."""

    def __init__(self) -> None:
        self._ended: dict[Pool, deque[tuple[float, Verdict]]] = {}

    def record_verdict(self, pool: Pool, verdict: Verdict, now_s: float) -> None:
        """Record the last verdict of a checkout that has ended."""
        self._ended.setdefault(pool, deque(maxlen=MAX_ENDED)).append((now_s, verdict))

    def recent(self, pool: Pool, now_s: float) -> Counter[Verdict]:
        """Return how many checkouts ended recently, by verdict."""
        ended = self._ended.get(pool)
        if ended is None:
            return Counter()
        while ended and ended[0][0] < now_s - ENDED_FOR_S:
            ended.popleft()
        return Counter(verdict for _, verdict in ended)

    def keep_pools(self, pools: Collection[Pool]) -> None:
        """Drop the pools that are gone."""
        for pool in self._ended.keys() - set(pools):
            del self._ended[pool]
