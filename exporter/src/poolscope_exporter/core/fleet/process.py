"""Follow one application process over its pushes: its series, pools and held checkouts."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.admission.family_kinds import FamilyKinds, KindConflict
from poolscope_exporter.core.admission.limits import Shares
from poolscope_exporter.core.admission.points import Refusal, admit, is_gauge
from poolscope_exporter.core.fleet.growth import GrowthHistory
from poolscope_exporter.core.fleet.held_list import CheckoutReport, HeldList, ListedCheckouts
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, numbers_of
from poolscope_exporter.core.fleet.process_numbers import (
    ProcessNumbers,
    StallHistory,
    thread_numbers,
)
from poolscope_exporter.core.fleet.retention import (
    COUNTER_RETENTION_S,
    DEFAULT_INTERVAL_S,
    LONGEST_INTERVAL_S,
    MISSED_PUSHES,
)
from poolscope_exporter.core.fleet.series import ProcessSeries
from poolscope_exporter.core.fleet.service_totals.route_deltas import ROUTE_METRICS, RouteCounters
from poolscope_exporter.core.fleet.service_totals.route_totals import ServiceTotals
from poolscope_exporter.core.fleet.waiter_groups import ProcessWaiters
from poolscope_exporter.core.model.checkouts import InheritedConnection, Instance, Pool
from poolscope_exporter.core.model.pushes import Point, PoolGeneration, PoolsMade, Push

MAX_INHERITED = 20
"""The most inherited connections of one pool that are kept; `poolscope` lists as many."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The refused parts of a push by reason: points, and held checkouts or their pools.

    `examples` has the name of one refused metric for each reason.
    """

    points: Counter[Refusal]
    examples: Mapping[str, str]
    conflicts: frozenset[KindConflict]
    held: Counter[Refusal]


class Process:
    """One instance of an application, from its first push until it is dropped.

    Its usage counts for the sender `owner`, see `fair_shares.py`. The growth of its route counters
    goes to `totals`. If these do not contain its counters yet, `is_from_zero` is true.
    """

    def __init__(
        self,
        instance: Instance,
        max_pools: int,
        max_series_per_pool: int,
        totals: ServiceTotals,
        shares: Shares,
        *,
        kinds: FamilyKinds,
        owner: str,
        first_push_s: float,
        is_from_zero: bool,
    ) -> None:
        self.instance = instance
        self.owner = owner
        self.shares = shares
        self.resource: Mapping[str, str] = {}
        self.publisher = Publisher.EXPORTER
        self.interval_s = DEFAULT_INTERVAL_S
        self.first_push_s = first_push_s
        self.last_push_s = 0.0
        self._last_complete_s = 0.0
        self.ended = False
        self._sequence: int | None = None
        self._started_ns: int | None = None
        self._kinds = kinds
        self._series = ProcessSeries(instance, max_pools, max_series_per_pool, shares.series, kinds)
        self._totals = totals
        self._is_from_zero = is_from_zero
        self._routes = RouteCounters(instance, max_pools, max_series_per_pool, shares.series)
        self._held = HeldList(max_pools, shares)
        self._waiters = ProcessWaiters(max_pools, shares.waiters)
        self._generations: Mapping[Pool, PoolGeneration] = {}
        self._made: Mapping[Pool, PoolsMade] = {}
        self._inherited: Mapping[Pool, tuple[InheritedConnection, ...]] = {}
        self._max_pools = max_pools
        self._growth = GrowthHistory()
        self._stalls = StallHistory()
        self._numbers: Mapping[Pool, PoolNumbers] = {}
        self._numbers_as_of: tuple[float, tuple[Pool, ...]] | None = None

    @property
    def backend_pids(self) -> Mapping[Pool, frozenset[int]]:
        """Return the backend PIDs of its connections, by pool; none if the process is gone."""
        return self._held.backend_pids

    def is_live(self, now_s: float) -> bool:
        """Return whether the process counts as running, so that its gauges and lists are valid."""
        return not self.ended and now_s - self.last_push_s <= self._silence_limit_s

    def is_forgotten(self, now_s: float) -> bool:
        """Return whether the process and its counters have expired."""
        silent_s = now_s - self.last_push_s
        return not self.is_live(now_s) and silent_s > COUNTER_RETENTION_S

    def is_ahead_of(self, push: Push) -> bool:
        """Return whether the push is a copy of an earlier push, or older than one."""
        if push.sequence is None or self._sequence is None:
            return False
        return push.sequence <= self._sequence

    def is_succeeded_by(self, push: Push, now_s: float) -> bool:
        """Return whether the push comes from a later process under the same name.

        A container that restarts may keep its instance id, but its sequence and checkout ids begin
        again. Three signs show a restart: another PID, a later start of the series, or an older
        sequence after the known process was silent.
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
        """Record a push; return its refused parts."""
        self.resource, self.publisher = push.resource, push.publisher
        self.interval_s = _interval_s(push)
        self.last_push_s, self.ended = now_s, push.is_end
        if not push.is_partial:
            self._last_complete_s = now_s
        self._sequence = push.sequence
        starts = (start for start in (self._started_ns, _started_ns(push)) if start)
        self._started_ns = min(starts, default=None)
        points, examples, conflicts = self._keep_points(push, now_s)
        refused = Refused(
            points=points,
            examples=examples,
            conflicts=conflicts,
            held=self._held.replace_lists(push, self.interval_s, now_s),
        )
        refused.held.update(self._waiters.replace_waiters(push))
        self._generations = dict(islice(push.generations.items(), self._max_pools))
        self._made = dict(islice(push.pools_made.items(), self._max_pools))
        self._inherited = {
            pool: connections[:MAX_INHERITED]
            for pool, connections in islice(push.inherited.items(), self._max_pools)
        }
        # The pushes of poolscope are complete: a route that appears later was not used before.
        self._is_from_zero = push.sequence is not None and push.publisher is Publisher.EXPORTER
        self._growth.record_counters(
            self._series.numbers_since(now_s),
            now_s,
            is_complete=self._is_from_zero,
            is_first=push.sequence == 1,
            is_partial=push.is_partial,
        )
        self._stalls.record_stalls(push.stalls, now_s)
        self._numbers_as_of = None
        self.expire(now_s)
        return refused

    def expire(self, now_s: float) -> None:
        """Drop expired data; if the process has ended, drop all its gauges and lists at once."""
        self._series.drop_series(self._since_s(now_s), now_s - COUNTER_RETENTION_S)
        if self.is_live(now_s):
            self._held.drop_lists(self._lists_since_s(now_s))
        else:
            self._held.drop_all()
            self._waiters.drop_waiters()
            self._growth.forget_counters()

    def pool_counters(self, is_wanted: Callable[[Pool], bool]) -> Mapping[Pool, list[Point]]:
        """Return the last points of these pools, also of a process that has ended."""
        return self._series.numbers_since(float("-inf"), is_wanted)

    def drop_held(self) -> None:
        """Drop the held checkouts and backend PIDs; the next push may list them again."""
        self._held.drop_all()
        self._numbers_as_of = None

    def release_room(self) -> None:
        """Release all room of the process; the process is not used after this call."""
        self._series.release_series()
        self._routes.release_routes()
        self._held.drop_all()
        self._waiters.drop_waiters()

    def live_points(self, now_s: float) -> Iterator[Point]:
        """Yield the series that are valid now; a process that is gone has no gauges."""
        return self._series.points_since(self._since_s(now_s), now_s - COUNTER_RETENTION_S)

    def pool_points(
        self, is_wanted: Callable[[Pool], bool], metrics: Collection[str], now_s: float
    ) -> Iterator[Point]:
        """Yield the counters of these metrics and pools, also if the process is gone."""
        return self._series.points_of_pools(is_wanted, metrics, now_s - COUNTER_RETENTION_S)

    def held_checkouts(self, now_s: float) -> Iterator[CheckoutReport]:
        """Yield the held checkouts; a process that is gone has none."""
        for held in self._held.lists_since(self._lists_since_s(now_s)).values():
            yield from held.listed

    def pool_numbers(self, now_s: float) -> Mapping[Pool, PoolNumbers]:
        """Return the numbers of each pool; a pool or a process that is gone has none."""
        since_s, held = self._since_s(now_s), self._held.lists_since(self._lists_since_s(now_s))
        as_of = since_s, tuple(held)
        if self._numbers_as_of != as_of:
            self._numbers, self._numbers_as_of = self._numbers_of(since_s, held), as_of
        return self._numbers

    @property
    def _silence_limit_s(self) -> float:
        return MISSED_PUSHES * self.interval_s

    def _since_s(self, now_s: float) -> float:
        """Return the earliest report time at which a gauge is still valid now."""
        if not self.is_live(now_s):
            return float("inf")
        # The pushes of poolscope are complete: a gauge that a push leaves out no longer exists.
        is_complete = self._sequence is not None
        return self._last_complete_s if is_complete else now_s - self._silence_limit_s

    def _lists_since_s(self, now_s: float) -> float:
        """Return the earliest arrival time at which a list is still valid now."""
        return now_s - self._silence_limit_s if self.is_live(now_s) else float("inf")

    def _numbers_of(
        self, since_s: float, held: Mapping[Pool, ListedCheckouts]
    ) -> Mapping[Pool, PoolNumbers]:
        points = self._series.numbers_since(since_s)
        threads = thread_numbers(self._series.process_points_since(since_s))
        process = ProcessNumbers(self._stalls.loop_numbers(), threads)
        return {
            pool: numbers_of(
                points.get(pool, []),
                _counts(held.get(pool)),
                self._growth.pool_growth(pool),
                self._waiters.pool_waiters(pool),
                generation=self._generations.get(pool),
                made=self._made.get(pool),
                process=process,
                inherited=self._inherited.get(pool, ()),
            )
            for pool in (points.keys() | held.keys()) - self._gone()
        }

    def _gone(self) -> frozenset[Pool]:
        """Return the pools of which only counters remain: no diagnosis or check is about them."""
        return frozenset(pool for pool, last in self._generations.items() if last.is_gone)

    def _keep_points(
        self, push: Push, now_s: float
    ) -> tuple[Counter[Refusal], dict[str, str], frozenset[KindConflict]]:
        refused: Counter[Refusal] = Counter()
        examples: dict[str, str] = {}
        conflicts: set[KindConflict] = set()
        for point in push.points:
            kept = admit(point)
            refusal = kept if isinstance(kept, Refusal) else self._keep_point(kept, now_s)
            if refusal:
                refused[refusal] += 1
                examples.setdefault(refusal.value, point.metric)
            if refusal is Refusal.CONFLICTING_KIND and (found := self._kinds.conflict_with(point)):
                conflicts.add(found)
        return refused, examples, frozenset(conflicts)

    def _keep_point(self, point: Point, now_s: float) -> Refusal | None:
        if point.metric in ROUTE_METRICS:
            return self._count_route(point, now_s)
        return self._series.keep_point(point, now_s)

    def _count_route(self, point: Point, now_s: float) -> Refusal | None:
        """Add the growth of a route counter since the last push to the totals of the service."""
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
    # A delta starts at the end of the one before, and the start time of a gauge has no meaning.
    starts = [p.start_ns for p in push.points if p.start_ns > 0 and not (p.is_delta or is_gauge(p))]
    return min(starts, default=None)


def _interval_s(push: Push) -> float:
    interval_s = push.interval_s
    is_credible = interval_s is not None and 0 < interval_s <= LONGEST_INTERVAL_S
    return interval_s if interval_s is not None and is_credible else DEFAULT_INTERVAL_S
