"""Follow how far the counters that are judged grow from push to push."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import ConnectErrorKind
from poolscope_exporter.core.fleet.point_sums import PointSums
from poolscope_exporter.core.fleet.retention import GROWTH_PUSHES
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.pushes import Point


@dataclass(frozen=True, slots=True)
class Growth:
    """How far counters grew over the last few pushes; None where that is not known."""

    timeouts: float | None = None
    blocking_checkouts: float | None = None
    too_many_connections: float | None = None


UNKNOWN_GROWTH: Final = Growth()

WATCHED = (catalogue.TIMEOUTS, catalogue.BLOCKING_CHECKOUTS, catalogue.CONNECT_ERRORS)
"""The counters whose growth is judged."""

_WATCHED_NAMES = frozenset(metric.name for metric in WATCHED)

Marks = Mapping[str, float]
"""The values of the watched counters at one push, as far as they exist."""


def marks_of(points: Iterable[Point]) -> Marks:
    """Note where the watched counters stand."""
    sums = PointSums(points)
    marks = {
        "timeouts": sums.sum_of(catalogue.TIMEOUTS),
        "blocking_checkouts": sums.sum_of(catalogue.BLOCKING_CHECKOUTS),
        "too_many_connections": sums.sum_of(
            catalogue.CONNECT_ERRORS, catalogue.KIND, ConnectErrorKind.TOO_MANY_CONNECTIONS
        ),
    }
    return {name: value for name, value in marks.items() if value is not None}


def growth_of(history: Sequence[Marks]) -> Growth:
    """Return how far the watched counters grew from the first to the last of a pool's marks.

    A counter that appears between two pushes grew from 0; one that fell was reset, and grew to
    what it is now. Of a single push nothing is known: its totals may be hours old.
    """

    def grown(name: str) -> float | None:
        last = history[-1].get(name) if len(history) > 1 else None
        if last is None:
            return None
        first = history[0].get(name, 0.0)
        return last - first if last >= first else last

    return Growth(grown("timeouts"), grown("blocking_checkouts"), grown("too_many_connections"))


class GrowthHistory:
    """Where the watched counters of one process stood at its last few pushes, by pool."""

    def __init__(self) -> None:
        self._marks: dict[Pool, deque[Marks]] = {}

    def record_counters(self, points: Mapping[Pool, Iterable[Point]]) -> None:
        """Note the counters as of a push; pools that it leaves out are forgotten."""
        self._marks = {
            pool: self._marks.get(pool) or deque(maxlen=GROWTH_PUSHES + 1) for pool in points
        }
        for pool, of_pool in points.items():
            self._marks[pool].append(marks_of(p for p in of_pool if p.metric in _WATCHED_NAMES))

    def pool_growth(self, pool: Pool) -> Growth:
        """Return how far the counters of a pool grew over its last pushes."""
        return growth_of(tuple(self._marks.get(pool, ())))

    def forget_counters(self) -> None:
        """Forget all pools: their process is gone."""
        self._marks = {}
