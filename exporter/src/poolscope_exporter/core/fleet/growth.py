"""Measure the growth of a pool's counters over the last seconds."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import BY_VALUE, EFFECTS, ConnectErrorKind, Effect, FailureReason, Metric
from poolscope_exporter.core.model.checkouts import Pool
from poolscope_exporter.core.model.pushes import HistogramValue, Point

WINDOW_S: Final = 30.0
"""The window of a diagnosis: a failure counts against a pool for this long."""

MAX_MARKS: Final = 64
"""The most pushes with stored counters per pool; of more than two a second, some are dropped."""

CounterKey = tuple[str, str]
"""A metric's name, and the value of its reason, kind or evidence; "" if it has none."""

Marks = Mapping[CounterKey, float]
"""The values of a pool's counters at one push; counters that the sender lacks are absent."""

_TRAFFIC = (
    catalogue.CHECKOUTS,
    catalogue.CHECKINS,
    catalogue.REQUEST_CHECKOUTS,
    catalogue.REQUEST_CONNECT_WAITS,
)
_TIMED = (catalogue.USE_TIME, catalogue.QUEUE_TIME, catalogue.CREATE_TIME, catalogue.PING_TIME)
_WATCHED = {
    metric.name: BY_VALUE.get(metric, "")
    for metric, effects in EFFECTS.items()
    if set(effects.values()) - {Effect.TRAFFIC} or metric in _TRAFFIC
}
_HURTING = frozenset(
    (metric.name, value)
    for metric, effects in EFFECTS.items()
    for value, effect in effects.items()
    if effect is Effect.HURTS
)
_SUMS = {metric.name for metric in _TIMED}
_PAIR = 2
SUM = "sum"
COUNT = "count"


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of a pool's counters over the window; an absent counter is unknown.

    `hurt_at_s` is the time of the last push in which a counter of harm to callers grew, or None.
    The time between the first and the last push of the window is `span_s`, 0 if it is unknown.
    """

    by_counter: Mapping[CounterKey, float] = field(default_factory=dict)
    hurt_at_s: float | None = None
    span_s: float = 0.0

    def of(self, metric: Metric, value: str = "") -> float | None:
        """Return the growth of a counter, or None if it is unknown."""
        return self.by_counter.get((metric.name, value))

    def by_value(self, metric: Metric, effect: Effect = Effect.HURTS) -> dict[str, float]:
        """Return the growth of a metric's counters with this effect, by attribute value."""
        wanted = [value for value, what in EFFECTS[metric].items() if what is effect]
        return {value: grown for value in wanted if (grown := self.of(metric, value) or 0.0)}

    def total_s(self, metric: Metric) -> float:
        """Return the sum of the durations that ended in the window, or 0 if none is known."""
        return self.of(metric, SUM) or 0.0

    def mean_s(self, metric: Metric) -> float | None:
        """Return the mean of the durations that ended in the window, or None if none ended."""
        count, total = self.of(metric, COUNT), self.of(metric, SUM)
        return total / count if count and total is not None else None

    @property
    def timeouts(self) -> float | None:
        """Return how many callers gave up, or None if the sender does not count them."""
        timeouts = self.of(catalogue.TIMEOUTS)
        return timeouts if timeouts is not None else self.of(catalogue.CHECKOUT_FAILURES, "timeout")

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
        """Return every counter of harm to callers that grew, with its growth."""
        return {
            (metric.name, value): grown
            for metric in EFFECTS
            for value, grown in self.by_value(metric).items()
        }


UNKNOWN_GROWTH: Final = Growth()


class CounterHistory:
    """The counters of one pool at its last pushes."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, Marks]] = deque()
        self._hurt_at_s: float | None = None

    def record_marks(self, marks: Marks, now_s: float) -> None:
        """Record a push; the newest push from before the window stays as the base."""
        if self._marks and _is_hurt(self._marks[-1][1], marks):
            self._hurt_at_s = now_s
        self._marks.append((now_s, marks))
        while len(self._marks) > _PAIR and self._marks[1][0] <= now_s - WINDOW_S:
            self._marks.popleft()
        if len(self._marks) > MAX_MARKS:
            del self._marks[-2]

    @property
    def last_marks(self) -> Marks:
        """Return the counters at the last push."""
        return self._marks[-1][1] if self._marks else {}

    def growth(self) -> Growth:
        """Return the growth from the base to the last push.

        A counter that appears between two pushes grew from 0. A counter that fell was reset, and
        grew from 0 to its value now. After a single push the growth is unknown, because the totals
        may be hours old.
        """
        if len(self._marks) < _PAIR:
            return Growth()
        (began_s, first), (ended_s, last) = self._marks[0], self._marks[-1]
        grown = {key: _grown(first.get(key, 0.0), value) for key, value in last.items()}
        return Growth(grown, self._hurt_at_s, ended_s - began_s)


class GrowthHistory:
    """The counters of all pools of one process at its last pushes."""

    def __init__(self) -> None:
        self._histories: dict[Pool, CounterHistory] = {}
        self._complete_at_s: float | None = None

    def record_counters(
        self,
        points: Mapping[Pool, Iterable[Point]],
        now_s: float,
        *,
        is_complete: bool = False,
        is_first: bool = False,
        is_partial: bool = False,
    ) -> None:
        """Record the counters of a push; drop the pools that it leaves out.

        `is_complete`: the process's pushes have every pool. So a pool that was missing in the last
        push counts from zero.

        `is_first`: this is the first push of the process. `is_partial`: this push leaves out
        counters that have not changed.
        """
        base_s = now_s if is_first else self._complete_at_s
        self._complete_at_s = now_s if is_complete else None
        self._histories = {
            pool: self._histories.get(pool) or _history(base_s if is_complete else None)
            for pool in points
        }
        for pool, of_pool in points.items():
            history = self._histories[pool]
            marks = marks_of(point for point in of_pool if is_watched(point))
            before = history.last_marks if is_partial else {}
            history.record_marks({**before, **marks}, now_s)

    def pool_growth(self, pool: Pool) -> Growth:
        """Return the growth of a pool's counters over the window."""
        history = self._histories.get(pool)
        return history.growth() if history else UNKNOWN_GROWTH

    def forget_counters(self) -> None:
        """Drop all pools, because their process is gone."""
        self._histories = {}
        self._complete_at_s = None


def _history(from_zero_s: float | None) -> CounterHistory:
    """Return a new history; if `from_zero_s` is given, all counters were 0 at that time."""
    history = CounterHistory()
    if from_zero_s is not None:
        history.record_marks({}, from_zero_s)
    return history


def marks_of(points: Iterable[Point]) -> Marks:
    """Return the values of the watched counters of a pool."""
    marks: dict[CounterKey, float] = {}
    for point in points:
        for key, value in _values(point):
            marks[key] = marks.get(key, 0.0) + value
    return marks


def is_watched(point: Point) -> bool:
    """Return whether the growth of a point's counter is used."""
    return point.metric in _WATCHED or point.metric in _SUMS


def _values(point: Point) -> Iterable[tuple[CounterKey, float]]:
    if isinstance(point.value, HistogramValue):
        if point.metric in _SUMS:
            yield (point.metric, COUNT), float(sum(point.value.counts))
            yield (point.metric, SUM), point.value.sum
    elif point.metric in _WATCHED:
        attribute = _WATCHED[point.metric]
        yield (point.metric, point.attributes.get(attribute, "") if attribute else ""), point.value


def _is_hurt(before: Marks, now: Marks) -> bool:
    hurting = (key for key in now if key in _HURTING)
    return any(_grown(before.get(key, 0.0), now[key]) for key in hurting)


def _grown(first: float, last: float) -> float:
    return last - first if last >= first else last
