"""Count how far the counters of a pool grew over the last seconds."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import BY_VALUE, EFFECTS, ConnectErrorKind, Effect, FailureReason, Metric
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.pushes import HistogramValue, Point

WINDOW_S: Final = 30.0
"""What a diagnosis looks back on: a failure this long ago still speaks against a pool."""

MAX_MARKS: Final = 64
"""Pushes that are remembered of a pool; faster ones than two a second are thinned out."""

CounterKey = tuple[str, str]
"""A metric's name, and the value of its reason, kind or evidence; "" where it has none."""

Marks = Mapping[CounterKey, float]
"""Where the counters of a pool stood at one push, as far as the sender has them."""

_TRAFFIC = (catalogue.CHECKOUTS, catalogue.CHECKINS)
_TIMED = (catalogue.USE_TIME, catalogue.QUEUE_TIME, catalogue.CREATE_TIME, catalogue.PING_TIME)
_WATCHED = {
    metric.name: BY_VALUE.get(metric, "")
    for metric, effects in EFFECTS.items()
    if set(effects.values()) - {Effect.TRAFFIC} or metric in _TRAFFIC
}
_SUMS = {metric.name for metric in _TIMED}
_PAIR = 2
SUM = "sum"
COUNT = "count"


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a pool's counters grew over the window; a counter that is absent is not known."""

    by_counter: Mapping[CounterKey, float] = field(default_factory=dict)

    def of(self, metric: Metric, value: str = "") -> float | None:
        """Return the growth of a counter, None where it is not known."""
        return self.by_counter.get((metric.name, value))

    def by_value(self, metric: Metric, effect: Effect = Effect.HURTS) -> dict[str, float]:
        """Return what grew of a metric with this effect, by reason, kind or evidence."""
        wanted = [value for value, what in EFFECTS[metric].items() if what is effect]
        return {value: grown for value in wanted if (grown := self.of(metric, value) or 0.0)}

    def total_s(self, metric: Metric) -> float:
        """Return the sum of the durations that ended in the window, 0 where none is known."""
        return self.of(metric, SUM) or 0.0

    def mean_s(self, metric: Metric) -> float | None:
        """Return the mean of the durations that ended in the window, None where none did."""
        count, total = self.of(metric, COUNT), self.of(metric, SUM)
        return total / count if count and total is not None else None

    @property
    def timeouts(self) -> float | None:
        """Return how many callers gave up, None where the sender does not count them."""
        told = self.of(catalogue.TIMEOUTS)
        return told if told is not None else self.of(catalogue.CHECKOUT_FAILURES, "timeout")

    @property
    def failures(self) -> float:
        """Return how many callers got an error instead of a connection."""
        return self.of(catalogue.CHECKOUT_FAILURES, FailureReason.ERROR) or 0.0

    @property
    def too_many_connections(self) -> float | None:
        """Return how many connections the server refused because it is full."""
        return self.of(catalogue.CONNECT_ERRORS, ConnectErrorKind.TOO_MANY_CONNECTIONS)

    @property
    def blocking_checkouts(self) -> float | None:
        """Return how many checkouts blocked a running event loop."""
        return self.of(catalogue.BLOCKING_CHECKOUTS)

    @property
    def hurting(self) -> dict[CounterKey, float]:
        """Return every counter that grew and whose growth means that callers were hurt."""
        return {
            (metric.name, value): grown
            for metric in EFFECTS
            for value, grown in self.by_value(metric).items()
        }


UNKNOWN_GROWTH: Final = Growth()


class CounterHistory:
    """Where the counters of one pool stood at its last pushes."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, Marks]] = deque()

    def record_marks(self, marks: Marks, now_s: float) -> None:
        """Note a push; the newest one that is older than the window stays as the base."""
        self._marks.append((now_s, marks))
        while len(self._marks) > _PAIR and self._marks[1][0] <= now_s - WINDOW_S:
            self._marks.popleft()
        if len(self._marks) > MAX_MARKS:
            del self._marks[-2]

    def growth(self) -> Growth:
        """Return the growth from the base to the last push.

        A counter that appears between two pushes grew from 0; one that fell was reset, and grew to
        what it is now. Of a single push nothing is known: its totals may be hours old.
        """
        if len(self._marks) < _PAIR:
            return Growth()
        first, last = self._marks[0][1], self._marks[-1][1]
        return Growth({key: _grown(first.get(key, 0.0), value) for key, value in last.items()})


class GrowthHistory:
    """Where the counters of all pools of one process stood at its last pushes."""

    def __init__(self) -> None:
        self._histories: dict[Pool, CounterHistory] = {}

    def record_counters(self, points: Mapping[Pool, Iterable[Point]], now_s: float) -> None:
        """Note the counters as of a push; pools that it leaves out are forgotten."""
        self._histories = {pool: self._histories.get(pool) or CounterHistory() for pool in points}
        for pool, of_pool in points.items():
            marks = marks_of(point for point in of_pool if is_watched(point))
            self._histories[pool].record_marks(marks, now_s)

    def pool_growth(self, pool: Pool) -> Growth:
        """Return how far the counters of a pool grew over the window."""
        history = self._histories.get(pool)
        return history.growth() if history else UNKNOWN_GROWTH

    def forget_counters(self) -> None:
        """Forget all pools: their process is gone."""
        self._histories = {}


def marks_of(points: Iterable[Point]) -> Marks:
    """Note where the watched counters of a pool stand."""
    marks: dict[CounterKey, float] = {}
    for point in points:
        for key, value in _values(point):
            marks[key] = marks.get(key, 0.0) + value
    return marks


def is_watched(point: Point) -> bool:
    """Return whether a point's growth is judged."""
    return point.metric in _WATCHED or point.metric in _SUMS


def _values(point: Point) -> Iterable[tuple[CounterKey, float]]:
    if isinstance(point.value, HistogramValue):
        if point.metric in _SUMS:
            yield (point.metric, COUNT), float(sum(point.value.counts))
            yield (point.metric, SUM), point.value.sum
    elif point.metric in _WATCHED:
        attribute = _WATCHED[point.metric]
        yield (point.metric, point.attributes.get(attribute, "") if attribute else ""), point.value


def _grown(first: float, last: float) -> float:
    return last - first if last >= first else last
