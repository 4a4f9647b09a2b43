"""Add up where the time of connections goes: the occupancy profile of each service's pool."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from poolscope.catalogue import OTHER, Doing
from poolscope_exporter.core.fleet.retention import TOTALS_RETENTION_S
from poolscope_exporter.core.fleet.service_totals.route_totals import (
    ServicePool,
    ServiceTotals,
    service_pool_of,
)
from poolscope_exporter.core.model.pushes import Occupied

BUCKET_S: Final = 10.0
"""Length of the pieces of the window."""

KEPT_S: Final = 900.0
"""The longest window of a profile."""

MAX_ROWS: Final = 5_000
"""The most rows of one piece of the window; the time of further ones is `other`."""

MAX_ROWS_PER_PUSH: Final = 250
"""The most rows of one push that are read; `poolscope` sends at most 200 and `other`."""

MAX_CALLS: Final = 10
"""The most calls of libraries per pool that have a value of the label `doing` each."""


class ProfileKey(NamedTuple):
    """The kind of occupancy: the route, the line that took the connection, and the line now."""

    route: str
    taken_at: str
    now_at: str
    call: str
    doing: str


_REST: Final = ProfileKey(OTHER, OTHER, OTHER, "", OTHER)


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """The seconds that connections of one pool spent in one way, within a window."""

    pool: ServicePool
    key: ProfileKey
    seconds: float


_Rows = dict[tuple[ServicePool, ProfileKey], float]


class OccupancyHistory:
    """The profile of the last 15 minutes, and counters since the start; one monotonic clock."""

    def __init__(self) -> None:
        self.totals = ServiceTotals()
        """The counters by route; the metric of each is what the owner did."""
        self._buckets: dict[int, _Rows] = {}
        self._calls: dict[ServicePool, set[str]] = {}

    def record_occupancy(self, rows: Mapping[Occupied, float], now_s: float) -> None:
        """Add the rows of one push: seconds since the process's last push that arrived."""
        for occupied, seconds in islice(rows.items(), MAX_ROWS_PER_PUSH):
            self._add(service_pool_of(occupied.pool), ProfileKey(*occupied[1:]), seconds, now_s)
        self._expire(now_s)

    def rows_since(self, since_s: float) -> Iterator[ProfileRow]:
        """Yield the rows of the window that begins at `since_s`, in whole pieces."""
        sums: _Rows = {}
        for bucket, rows in self._buckets.items():
            if (bucket + 1) * BUCKET_S > since_s:
                for known, seconds in rows.items():
                    sums[known] = sums.get(known, 0.0) + seconds
        for (pool, key), seconds in sums.items():
            yield ProfileRow(pool, key, seconds)

    def _add(self, pool: ServicePool, key: ProfileKey, seconds: float, now_s: float) -> None:
        if seconds <= 0:
            return
        rows = self._buckets.setdefault(int(now_s // BUCKET_S), {})
        known = (pool, key)
        if known not in rows and len(rows) >= MAX_ROWS:
            known = (pool, _REST)
        rows[known] = rows.get(known, 0.0) + seconds
        doing = self._doing_label(pool, key.doing)
        self.totals.add_growth(pool, key.route, doing, seconds, now_s)

    def _doing_label(self, pool: ServicePool, doing: str) -> str:
        """Return what the owner did, or `other` for calls above the limit of a pool."""
        if doing in {*Doing, OTHER}:
            return doing
        calls = self._calls.setdefault(pool, set())
        if doing in calls or len(calls) < MAX_CALLS:
            calls.add(doing)
            return doing
        return OTHER

    def _expire(self, now_s: float) -> None:
        self.totals.expire_pools(now_s - TOTALS_RETENTION_S)
        self._calls = {pool: calls for pool, calls in self._calls.items() if self.totals.has(pool)}
        oldest = int((now_s - KEPT_S) // BUCKET_S)
        for bucket in [bucket for bucket in self._buckets if bucket < oldest]:
            del self._buckets[bucket]
