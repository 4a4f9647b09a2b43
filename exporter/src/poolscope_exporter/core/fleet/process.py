"""Follow one application process over its pushes: its series, its pools, what it holds."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.fleet.admission import Refusal, admit, is_gauge
from poolscope_exporter.core.fleet.growth import CounterHistory, Growth, is_watched, marks_of
from poolscope_exporter.core.fleet.held_list import MAX_HELD, HeardCheckout, ListedCheckouts
from poolscope_exporter.core.fleet.limits import Rooms, Taken
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers, numbers_of
from poolscope_exporter.core.fleet.retention import (
    COUNTER_RETENTION_S,
    LONGEST_INTERVAL_S,
    MISSED_PUSHES,
    UNTOLD_INTERVAL_S,
)
from poolscope_exporter.core.fleet.route_deltas import ROUTE_METRICS, RouteCounts
from poolscope_exporter.core.fleet.route_totals import ServiceTotals
from poolscope_exporter.core.fleet.series import SeriesBook
from poolscope_exporter.core.fleet.waiter_groups import (
    MAX_WAITERS,
    PoolWaiters,
    group_waiters,
)
from poolscope_exporter.core.model.checkouts import Checkout, HeldCheckouts, Instance, Pool
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
        rooms: Rooms,
        *,
        is_from_zero: bool,
    ) -> None:
        self.instance = instance
        self.resource: Mapping[str, str] = {}
        self.publisher = Publisher.EXPORTER
        self.interval_s = UNTOLD_INTERVAL_S
        self.last_push_s = 0.0
        self.ended = False
        self.backend_pids: Mapping[Pool, frozenset[int]] = {}
        self._max_pools = max_pools
        self._sequence: int | None = None
        self._started_ns: int | None = None
        self._series = SeriesBook(instance, max_pools, max_series_per_pool, rooms.series)
        self._totals = totals
        self._is_from_zero = is_from_zero
        self._routes = RouteCounts(instance, max_pools, max_series_per_pool, rooms.series)
        self._rooms = rooms
        self._taken = Taken()
        self._held: dict[Pool, ListedCheckouts] = {}
        self._waiters: Mapping[Pool, PoolWaiters] = {}
        self._histories: dict[Pool, CounterHistory] = {}
        self._numbers: Mapping[Pool, PoolNumbers] = {}
        self._numbers_as_of: tuple[float, tuple[Pool, ...]] | None = None

    def is_live(self, now_s: float) -> bool:
        """Return whether the process is taken to be running: its gauges hold, its list counts."""
        return not self.ended and now_s - self.last_push_s <= self._patience_s

    def is_forgotten(self, now_s: float) -> bool:
        """Return whether nothing of the process is of interest any more."""
        silent_s = now_s - self.last_push_s
        return not self.is_live(now_s) and silent_s > COUNTER_RETENTION_S

    def is_ahead_of(self, push: Push) -> bool:
        """Return whether the push is older than, or the same as, one that was heard before."""
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
        is_silent = now_s - self.last_push_s > self._patience_s
        return self.is_ahead_of(push) and is_silent

    def apply_push(self, push: Push, now_s: float) -> Refused:
        """Take a push in; return what of it was refused."""
        self.resource, self.publisher = push.resource, push.publisher
        self.interval_s = _interval_s(push)
        self.last_push_s, self.ended = now_s, push.is_end
        self._sequence = push.sequence
        starts = (start for start in (self._started_ns, _started_ns(push)) if start)
        self._started_ns = min(starts, default=None)
        refused = Refused(self._keep_points(push, now_s), self._keep_held(push, now_s))
        refused.held.update(self._keep_waiters(push))
        refused.held.update(self._keep_sessions(push))
        # Our own pushes are complete: a route that comes up later was not used before.
        self._is_from_zero = push.sequence is not None and push.publisher is Publisher.EXPORTER
        self._mark(now_s)
        self._numbers_as_of = None
        self.expire(now_s)
        return refused

    def expire(self, now_s: float) -> None:
        """Forget what is no longer so: everything of the moment at once when the process ended."""
        self._series.drop(self._since_s(now_s), now_s - COUNTER_RETENTION_S)
        self._held = self._held_lists(now_s)
        if not self.is_live(now_s):
            self._histories, self.backend_pids, self._waiters = {}, {}, {}
        self._settle()

    def release_room(self) -> None:
        """Give back the room that the process took; it is not heard again."""
        self._series.release_series()
        self._routes.release_routes()
        self._held, self.backend_pids, self._waiters = {}, {}, {}
        self._settle()

    def live_points(self, now_s: float) -> Iterator[Point]:
        """Yield the series that are true now: no gauges of a process that is gone."""
        return self._series.points_since(self._since_s(now_s), now_s - COUNTER_RETENTION_S)

    def held_checkouts(self, now_s: float) -> Iterator[HeardCheckout]:
        """Yield the held checkouts; none of a process that is gone."""
        for held in self._held_lists(now_s).values():
            yield from held.listed

    def pool_numbers(self, now_s: float) -> Mapping[Pool, PoolNumbers]:
        """Return the numbers of each pool; none of a process that is gone."""
        since_s, held = self._since_s(now_s), self._held_lists(now_s)
        as_of = since_s, tuple(held)
        if self._numbers_as_of != as_of:
            self._numbers, self._numbers_as_of = self._numbers_of(since_s, held), as_of
        return self._numbers

    @property
    def _patience_s(self) -> float:
        return MISSED_PUSHES * self.interval_s

    def _since_s(self, now_s: float) -> float:
        """Return since when a thing must have been heard to be true now."""
        if not self.is_live(now_s):
            return float("inf")
        # Our own pushes are complete: a gauge that one leaves out has ceased to be.
        is_complete = self._sequence is not None
        return self.last_push_s if is_complete else now_s - self._patience_s

    def _held_lists(self, now_s: float) -> dict[Pool, ListedCheckouts]:
        since_s = now_s - self._patience_s if self.is_live(now_s) else float("inf")
        return {pool: held for pool, held in self._held.items() if held.heard_at_s >= since_s}

    def _growth(self, pool: Pool) -> Growth:
        history = self._histories.get(pool)
        return history.growth() if history else Growth()

    def _numbers_of(
        self, since_s: float, held: Mapping[Pool, ListedCheckouts]
    ) -> Mapping[Pool, PoolNumbers]:
        points = self._series.numbers_since(since_s)
        return {
            pool: numbers_of(
                points.get(pool, []),
                _counts(held.get(pool)),
                self._growth(pool),
                self._waiters.get(pool),
            )
            for pool in points.keys() | held.keys()
        }

    def _keep_points(self, push: Push, now_s: float) -> Counter[Refusal]:
        refused: Counter[Refusal] = Counter()
        for point in push.points:
            kept = admit(point)
            refusal = kept if isinstance(kept, Refusal) else self._keep(kept, now_s)
            if refusal:
                refused[refusal] += 1
        return refused

    def _keep(self, point: Point, now_s: float) -> Refusal | None:
        if point.metric in ROUTE_METRICS:
            return self._add_up(point, now_s)
        return self._series.keep_point(point, now_s)

    def _add_up(self, point: Point, now_s: float) -> Refusal | None:
        """Add what the routes counted since the last push to the totals of the service."""
        if self.publisher is not Publisher.EXPORTER:
            return None
        count = self._routes.moved(point, is_from_zero=self._is_from_zero)
        if isinstance(count, Refusal):
            return count
        has_room = self._totals.add_growth(
            count.pool, count.route, count.metric, count.growth, now_s
        )
        return None if has_room else Refusal.TOO_MANY_SERVICES

    def _keep_held(self, push: Push, now_s: float) -> Counter[Refusal]:
        known = {
            heard.checkout.id: heard.first_heard_at_s
            for held in self._held.values()
            for heard in held.listed
        }
        kept = {held.pool for held in push.held}
        others = sum(len(each.listed) for pool, each in self._held.items() if pool not in kept)
        room = min(MAX_HELD, self._rooms.held.free + self._taken.held)
        room = max(0, room - others)
        refused: Counter[Refusal] = Counter()
        for held in push.held:
            if held.pool not in self._held and len(self._held) >= self._max_pools:
                refused[Refusal.TOO_MANY_POOLS] += 1
                continue
            listed = held.listed[:room]
            room -= len(listed)
            refused[Refusal.TOO_MANY_CHECKOUTS] += len(held.listed) - len(listed)
            self._held[held.pool] = self._heard(held, listed, known, now_s)
        return +refused

    def _keep_waiters(self, push: Push) -> Counter[Refusal]:
        """Keep the waiting callers of this push alone: those of the last one may wait no more."""
        held = sum(len(each.listed) for each in self._held.values())
        room = min(MAX_WAITERS, max(0, self._rooms.held.free + self._taken.held - held))
        refused: Counter[Refusal] = Counter()
        kept = {}
        for each in push.waiters[: self._max_pools]:
            listed = each.listed[:room]
            room -= len(listed)
            refused[Refusal.TOO_MANY_WAITERS] += len(each.listed) - len(listed)
            kept[each.pool] = group_waiters(each.waiting, listed)
        self._waiters = kept
        return +refused

    def _keep_sessions(self, push: Push) -> Counter[Refusal]:
        room = self._rooms.sessions.free + self._taken.sessions
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
        held = sum(len(each.listed) for each in self._held.values())
        held += sum(len(each.groups) for each in self._waiters.values())
        sessions = sum(map(len, self.backend_pids.values()))
        self._rooms.held.give_back(self._taken.held - held)
        self._rooms.sessions.give_back(self._taken.sessions - sessions)
        self._taken = Taken(held, sessions)

    def _heard(
        self,
        held: HeldCheckouts,
        listed: tuple[Checkout, ...],
        known: Mapping[int, float],
        now_s: float,
    ) -> ListedCheckouts:
        heard = tuple(
            HeardCheckout(c, now_s, known.get(c.id, now_s), self.interval_s, self.publisher)
            for c in listed
        )
        return ListedCheckouts(held.held, heard, now_s)

    def _mark(self, now_s: float) -> None:
        pools = self._series.numbers_since(now_s)
        histories = {pool: self._histories.get(pool) or CounterHistory() for pool in pools}
        for pool, points in pools.items():
            histories[pool].record(marks_of(p for p in points if is_watched(p)), now_s)
        self._histories = histories


def _counts(held: ListedCheckouts | None) -> tuple[int, int] | None:
    return (held.held, len(held.listed)) if held else None


def _started_ns(push: Push) -> int | None:
    # A delta starts where the one before ended, and a gauge may say anything.
    starts = [p.start_ns for p in push.points if p.start_ns > 0 and not (p.is_delta or is_gauge(p))]
    return min(starts, default=None)


def _interval_s(push: Push) -> float:
    told = push.interval_s
    is_credible = told is not None and 0 < told <= LONGEST_INTERVAL_S
    return told if told is not None and is_credible else UNTOLD_INTERVAL_S
