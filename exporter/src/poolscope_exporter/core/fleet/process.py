"""Follow one application process over its pushes: its series, its pools, what it holds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.fleet.admission import Refusal, admit, is_gauge
from poolscope_exporter.core.fleet.growth import GrowthHistory
from poolscope_exporter.core.fleet.held_list import CheckoutReport, HeldList, ListedCheckouts
from poolscope_exporter.core.fleet.limits import SharedBudgets
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, numbers_of
from poolscope_exporter.core.fleet.retention import (
    COUNTER_RETENTION_S,
    DEFAULT_INTERVAL_S,
    LONGEST_INTERVAL_S,
    MISSED_PUSHES,
)
from poolscope_exporter.core.fleet.route_deltas import ROUTE_METRICS, RouteCounters
from poolscope_exporter.core.fleet.route_totals import ServiceTotals
from poolscope_exporter.core.fleet.series import ProcessSeries
from poolscope_exporter.core.fleet.waiter_groups import ProcessWaiters
from poolscope_exporter.core.model.checkouts import Instance, Pool
from poolscope_exporter.core.model.pushes import Point, Push


@dataclass(frozen=True, slots=True)
class Refused:
    """What of a push was not kept, by reason: points, and held checkouts or their pools."""

    points: Counter[Refusal]
    held: Counter[Refusal]


class Process:
    """One instance of an application, from its first push until it is forgotten.

    `totals` takes what its routes count. `is_from_zero`: nothing that the process counted so far
    is in them yet.
    """

    def __init__(
        self,
        instance: Instance,
        max_pools: int,
        max_series_per_pool: int,
        totals: ServiceTotals,
        budgets: SharedBudgets,
        *,
        is_from_zero: bool,
    ) -> None:
        self.instance = instance
        self.resource: Mapping[str, str] = {}
        self.publisher = Publisher.EXPORTER
        self.interval_s = DEFAULT_INTERVAL_S
        self.last_push_s = 0.0
        self.ended = False
        self._sequence: int | None = None
        self._started_ns: int | None = None
        self._series = ProcessSeries(instance, max_pools, max_series_per_pool, budgets.series)
        self._totals = totals
        self._is_from_zero = is_from_zero
        self._routes = RouteCounters(instance, max_pools, max_series_per_pool, budgets.series)
        self._held = HeldList(max_pools, budgets)
        self._waiters = ProcessWaiters(max_pools, budgets.waiters)
        self._growth = GrowthHistory()
        self._numbers: Mapping[Pool, PoolNumbers] = {}
        self._numbers_as_of: tuple[float, tuple[Pool, ...]] | None = None

    @property
    def backend_pids(self) -> Mapping[Pool, frozenset[int]]:
        """Return the pids of all its connections, by pool; none once it is gone."""
        return self._held.backend_pids

    def is_live(self, now_s: float) -> bool:
        """Return whether the process is taken to be running: its gauges hold, its list counts."""
        return not self.ended and now_s - self.last_push_s <= self._silence_limit_s

    def is_forgotten(self, now_s: float) -> bool:
        """Return whether nothing of the process is of interest any more."""
        silent_s = now_s - self.last_push_s
        return not self.is_live(now_s) and silent_s > COUNTER_RETENTION_S

    def is_ahead_of(self, push: Push) -> bool:
        """Return whether the push is older than, or the same as, one that came before."""
        if push.sequence is None or self._sequence is None:
            return False
        return push.sequence <= self._sequence

    def is_succeeded_by(self, push: Push, now_s: float) -> bool:
        """Return whether the push comes from a later process under the same name.

        A container that starts again may keep its instance id, while its sequence and its
        checkout ids begin anew. It is known by its pid, by when its series started, or by being
        behind a process that fell silent.
        """
        if push.sequence is None or self._sequence is None:
            return False
        if self.resource.get(PROCESS_PID) != push.resource.get(PROCESS_PID):
            return True
        started_ns = _started_ns(push)
        if started_ns and self._started_ns and started_ns > self._started_ns:
            return True
        is_silent = now_s - self.last_push_s > self._silence_limit_s
        return self.is_ahead_of(push) and is_silent

    def apply_push(self, push: Push, now_s: float) -> Refused:
        """Take a push in; return what of it was refused."""
        self.resource, self.publisher = push.resource, push.publisher
        self.interval_s = _interval_s(push)
        self.last_push_s, self.ended = now_s, push.is_end
        self._sequence = push.sequence
        starts = (start for start in (self._started_ns, _started_ns(push)) if start)
        self._started_ns = min(starts, default=None)
        refused = Refused(
            points=self._keep_points(push, now_s),
            held=self._held.replace_lists(push, self.interval_s, now_s),
        )
        refused.held.update(self._waiters.replace_waiters(push))
        # Our own pushes are complete: a route that comes up later was not used before.
        self._is_from_zero = push.sequence is not None and push.publisher is Publisher.EXPORTER
        self._growth.record_counters(self._series.numbers_since(now_s), now_s)
        self._numbers_as_of = None
        self.expire(now_s)
        return refused

    def expire(self, now_s: float) -> None:
        """Forget what is no longer so: everything of the moment at once when the process ended."""
        self._series.drop_series(self._since_s(now_s), now_s - COUNTER_RETENTION_S)
        if self.is_live(now_s):
            self._held.drop_lists(self._lists_since_s(now_s))
        else:
            self._held.drop_all()
            self._waiters.drop_waiters()
            self._growth.forget_counters()

    def release_room(self) -> None:
        """Give back the room that the process took; it is not used again."""
        self._series.release_series()
        self._routes.release_routes()
        self._held.drop_all()
        self._waiters.drop_waiters()

    def live_points(self, now_s: float) -> Iterator[Point]:
        """Yield the series that are true now: no gauges of a process that is gone."""
        return self._series.points_since(self._since_s(now_s), now_s - COUNTER_RETENTION_S)

    def held_checkouts(self, now_s: float) -> Iterator[CheckoutReport]:
        """Yield the held checkouts; none of a process that is gone."""
        for held in self._held.lists_since(self._lists_since_s(now_s)).values():
            yield from held.listed

    def pool_numbers(self, now_s: float) -> Mapping[Pool, PoolNumbers]:
        """Return the numbers of each pool; none of a process that is gone."""
        since_s, held = self._since_s(now_s), self._held.lists_since(self._lists_since_s(now_s))
        as_of = since_s, tuple(held)
        if self._numbers_as_of != as_of:
            self._numbers, self._numbers_as_of = self._numbers_of(since_s, held), as_of
        return self._numbers

    @property
    def _silence_limit_s(self) -> float:
        return MISSED_PUSHES * self.interval_s

    def _since_s(self, now_s: float) -> float:
        """Return since when a thing must have been reported to be true now."""
        if not self.is_live(now_s):
            return float("inf")
        # Our own pushes are complete: a gauge that one leaves out has ceased to be.
        is_complete = self._sequence is not None
        return self.last_push_s if is_complete else now_s - self._silence_limit_s

    def _lists_since_s(self, now_s: float) -> float:
        """Return since when a list must have arrived to be true now."""
        return now_s - self._silence_limit_s if self.is_live(now_s) else float("inf")

    def _numbers_of(
        self, since_s: float, held: Mapping[Pool, ListedCheckouts]
    ) -> Mapping[Pool, PoolNumbers]:
        points = self._series.numbers_since(since_s)
        return {
            pool: numbers_of(
                points.get(pool, []),
                _counts(held.get(pool)),
                self._growth.pool_growth(pool),
                self._waiters.pool_waiters(pool),
            )
            for pool in points.keys() | held.keys()
        }

    def _keep_points(self, push: Push, now_s: float) -> Counter[Refusal]:
        refused: Counter[Refusal] = Counter()
        for point in push.points:
            kept = admit(point)
            refusal = kept if isinstance(kept, Refusal) else self._keep_point(kept, now_s)
            if refusal:
                refused[refusal] += 1
        return refused

    def _keep_point(self, point: Point, now_s: float) -> Refusal | None:
        if point.metric in ROUTE_METRICS:
            return self._count_route(point, now_s)
        return self._series.keep_point(point, now_s)

    def _count_route(self, point: Point, now_s: float) -> Refusal | None:
        """Add what the routes counted since the last push to the totals of the service."""
        if self.publisher is not Publisher.EXPORTER:
            return None
        count = self._routes.record_point(point, is_from_zero=self._is_from_zero)
        if isinstance(count, Refusal):
            return count
        has_room = self._totals.add_growth(
            count.pool, count.route, count.metric, count.growth, now_s
        )
        return None if has_room else Refusal.TOO_MANY_SERVICES


def _counts(held: ListedCheckouts | None) -> tuple[int, int] | None:
    return (held.held, len(held.listed)) if held else None


def _started_ns(push: Push) -> int | None:
    # A delta starts where the one before ended, and a gauge may say anything.
    starts = [p.start_ns for p in push.points if p.start_ns > 0 and not (p.is_delta or is_gauge(p))]
    return min(starts, default=None)


def _interval_s(push: Push) -> float:
    interval_s = push.interval_s
    is_credible = interval_s is not None and 0 < interval_s <= LONGEST_INTERVAL_S
    return interval_s if interval_s is not None and is_credible else DEFAULT_INTERVAL_S
