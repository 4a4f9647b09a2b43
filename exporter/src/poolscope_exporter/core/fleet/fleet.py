"""Store the state of all application processes: their series, pools and held checkouts."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.admission.family_kinds import FamilyKinds, KindConflict
from poolscope_exporter.core.admission.limits import Budget, Limits, SharedBudgets
from poolscope_exporter.core.admission.points import Refusal
from poolscope_exporter.core.fleet.fair_shares import (
    Room,
    fair_share,
    gives_way,
    largest_of,
    owner_of,
    usage,
)
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.occupancy_history import OccupancyHistory
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.pool_totals import TOTALS_METRICS, PoolTotals, pool_totals
from poolscope_exporter.core.fleet.process import Process
from poolscope_exporter.core.fleet.retention import (
    COUNTER_RETENTION_S,
    DEFAULT_INTERVAL_S,
    TOTALS_RETENTION_S,
)
from poolscope_exporter.core.fleet.service_totals.release_totals import (
    ReleaseNumbers,
    ReleaseTotals,
)
from poolscope_exporter.core.fleet.service_totals.route_totals import (
    ServicePool,
    ServiceTotal,
    ServiceTotals,
)
from poolscope_exporter.core.model.checkouts import Instance, Pool
from poolscope_exporter.core.model.pushes import Point, Push

MAX_LEFT = 10_000
"""Dropped processes with a stored name; the oldest names are dropped first."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result of a push: the number of refused points, and the reason in one sentence.

    If the push is stored under another instance than it names, this is `instance`, and `warning`
    has the reason. If it comes from a new process under a known name, `restarted` is true. If
    the whole push was refused, `accepted` is false. The numbers of its refused parts are `refused`,
    with the name of a metric for each reason in `examples`.
    """

    rejected_points: int
    reason: str | None
    restarted: bool = False
    accepted: bool = True
    instance: Instance | None = None
    warning: str | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    conflicts: frozenset[KindConflict] = frozenset()


@dataclass(frozen=True, slots=True)
class InstanceState:
    """The state of one application process, from its pushes.

    After its last push, which has an end marker, `ended` is true. The sender that answers for its
    room is `owner`. If it has not ended and has
    pushed within three push intervals, `is_live` is true. A process that is not live is listed
    until its counters expire.
    """

    instance: Instance
    resource: Mapping[str, str]
    last_push_age_s: float
    interval_s: float
    publisher: Publisher
    ended: bool
    is_live: bool
    owner: str = ""


MAX_INSTANCES = 1250
"""A thousand, and 25 % more that a rolling deploy starts before it stops the old ones."""

LIMITS = Limits()

FULL_S = 1.0
"""How long the result of a search for room stays valid: many refused senders cost little."""

_Source = tuple[Instance, bool]
"""An instance, and whether `poolscope` sends its pushes.

The OpenTelemetry provider of a process may push here too, at other times than `poolscope` does.
Neither may end the other's series or change its sequence.
"""


class Fleet:
    """All application processes that push here; times are the exporter's monotonic clock.

    Above `max_instances`, a new process replaces the process that has been gone for longest. If
    all are live, it replaces a process of a sender above its share. Without one, it is refused.
    `refused` counts the refused points, checkouts and pushes by reason.

    Not thread-safe; each call returns new objects, which other threads may use.
    """

    def __init__(
        self,
        max_instances: int = MAX_INSTANCES,
        max_pools_per_instance: int = 50,
        max_series_per_pool: int = 400,
        *,
        max_series: int = LIMITS.max_series,
        max_held_checkouts: int = LIMITS.max_held_checkouts,
        max_routes_per_pool: int = LIMITS.max_routes_per_pool,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._max_instances = max_instances
        self._max_pools = max_pools_per_instance
        self._max_series = max_series_per_pool
        self._processes: dict[_Source, Process] = {}
        self._budgets = SharedBudgets(max_series, max_held_checkouts)
        self._kinds = FamilyKinds()
        self._routes = ServiceTotals(max_routes_per_pool=max_routes_per_pool)
        self._first_seen = FirstSeen()
        self._releases = ReleaseTotals()
        self.occupancy = OccupancyHistory()
        self._shared_rooms = {
            Room.HELD: self._budgets.held,
            Room.SESSIONS: self._budgets.sessions,
            Room.SERIES: self._budgets.series,
        }
        self._refused_owners: set[str] = set()
        self._refused_until_s = float("-inf")

    def record_push(self, push: Push, now_s: float, *, was_counted: bool = False) -> PushResult:
        """Record a push, except for parts that are out of order or above a limit.

        `was_counted`: the process is new under this name, but was counted under another one.
        """
        source = (push.instance, push.sequence is not None)
        process = self._processes.get(source)
        owner = owner_of(push)
        if process is None and not self._has_room(owner, now_s):
            return self.refuse_push(push, Refusal.TOO_MANY_INSTANCES)
        restarted = process is not None and process.is_succeeded_by(push, now_s)
        if process and not restarted and process.is_ahead_of(push):
            return self.refuse_push(push, Refusal.OUT_OF_ORDER)
        if process and restarted:
            self._releases.add_ended(process)
            process.release_room()
        if process is None or restarted:
            process = self._processes[source] = self._process(push, now_s, was_counted=was_counted)
        for room, budget in self._shared_rooms.items():
            self._make_room(room, budget, process, push)
        refused = process.apply_push(push, now_s)
        self.occupancy.record_occupancy(push.occupancy, now_s)
        if push.is_end:
            self._refused_owners.clear()
        left_out = refused.points + refused.held
        self.refused.update(left_out)
        return PushResult(
            left_out.total(),
            _reason(left_out),
            restarted,
            refused={each.value: count for each, count in left_out.items()},
            examples=refused.examples,
            conflicts=refused.conflicts,
        )

    def tick(self, now_s: float) -> None:
        """Drop expired state; the results of other methods do not depend on how often this runs."""
        for source, process in list(self._processes.items()):
            if process.is_forgotten(now_s):
                self._releases.add_ended(process)
                self._forget(source)
            else:
                process.expire(now_s)
        self._routes.expire_pools(now_s - TOTALS_RETENTION_S)

    def series(self, now_s: float) -> Iterator[tuple[Instance, Point]]:
        """Return the series to expose: those of the processes with the exporter as publisher."""
        return iter(
            [
                (process.instance, point)
                for process in self._remembered(now_s)
                if process.publisher is Publisher.EXPORTER
                for point in process.live_points(now_s)
            ]
        )

    def route_totals(self) -> list[ServiceTotal]:
        """Return the route counters of services, summed over current and past processes."""
        return list(self._routes.totals())

    def releases(self, now_s: float) -> list[ReleaseNumbers]:
        """Return the sums of each version of a service, over current and past processes."""
        return self._releases.compared(self._remembered(now_s), now_s)

    def releases_of(
        self, is_wanted: Callable[[ServicePool], bool], now_s: float
    ) -> list[ReleaseNumbers]:
        """Return the sums of each version for these pools alone."""
        return self._releases.compared(self._remembered(now_s), now_s, is_wanted)

    def held(self, now_s: float) -> list[CheckoutReport]:
        """Return the held checkouts of all live processes."""
        return [reported for p in self._remembered(now_s) for reported in p.held_checkouts(now_s)]

    def held_by(self, instance: Instance, now_s: float) -> list[CheckoutReport]:
        """Return the held checkouts of one process; none if it is not live."""
        process = self._processes.get((instance, True))
        return list(process.held_checkouts(now_s)) if process else []

    def pools(self, now_s: float) -> dict[Pool, PoolNumbers]:
        """Return the numbers of every pool of the live processes."""
        found: dict[Pool, PoolNumbers] = {}
        for process in self._remembered(now_s):
            found.update(process.pool_numbers(now_s))
        return found

    def totals_of(self, is_wanted: Callable[[Pool], bool], now_s: float) -> PoolTotals:
        """Return the histograms and leaks of these pools, with those of processes that ended."""
        return pool_totals(
            point
            for process in self._remembered(now_s)
            for point in process.pool_points(is_wanted, TOTALS_METRICS, now_s)
        )

    def live_backend_pids(self, now_s: float) -> Mapping[Pool, frozenset[int]]:
        """Return the backend PIDs of all open connections of live processes, by pool."""
        found: dict[Pool, frozenset[int]] = {}
        for process in self._remembered(now_s):
            if process.is_live(now_s):
                found.update(process.backend_pids)
        return found

    def instances(self, now_s: float) -> list[InstanceState]:
        """Return the state of every process that has not expired."""
        states = {p.instance: _state(p, now_s) for p in self._remembered(now_s)}
        return list(states.values())

    def refuse_push(self, push: Push, refusal: Refusal) -> PushResult:
        """Refuse a whole push, and count the reason."""
        self.refused[refusal] += 1
        return PushResult(
            len(push.points),
            _reason(Counter({refusal: 1})),
            accepted=False,
            refused={refusal.value: 1},
        )

    def forget_instance(self, instance: Instance) -> None:
        """Drop an instance, because several processes use its id."""
        for source in [source for source in self._processes if source[0] == instance]:
            self._forget(source)

    def _process(self, push: Push, now_s: float, *, was_counted: bool) -> Process:
        is_new = self._first_seen.counts_from_zero(push, now_s) and not was_counted
        return Process(
            push.instance,
            self._max_pools,
            self._max_series,
            self._routes,
            self._budgets.shares(),
            kinds=self._kinds,
            owner=owner_of(push),
            first_push_s=now_s,
            is_from_zero=is_new,
        )

    def _forget(self, source: _Source) -> None:
        process = self._processes.pop(source)
        process.release_room()
        self._first_seen.record_forgotten(process.instance, process.resource.get(PROCESS_PID, ""))

    def _remembered(self, now_s: float) -> list[Process]:
        """Return the processes; the pushes of `poolscope` come last, to replace a provider's."""
        sources = sorted(self._processes, key=lambda source: source[1])
        found = (self._processes[source] for source in sources)
        return [process for process in found if not process.is_forgotten(now_s)]

    def _has_room(self, owner: str, now_s: float) -> bool:
        """Return whether a sender may add a process; drop another process for it if allowed."""
        if len(self._processes) < self._max_instances:
            return True
        if now_s >= self._refused_until_s:
            self._refused_owners.clear()
        if owner in self._refused_owners:
            return False
        gone = [each for each in self._processes.items() if not each[1].is_live(now_s)]
        if gone:
            source, process = min(gone, key=lambda item: item[1].last_push_s)
            self._releases.add_ended(process)
            self._forget(source)
            return True
        processes = self._processes.values()
        victim = gives_way(usage(Room.INSTANCES, processes), owner, self._max_instances)
        if victim is None:
            self._refused_owners.add(owner)
            self._refused_until_s = now_s + FULL_S
            return False
        self._forget_process(largest_of(victim, Room.INSTANCES, processes))
        return True

    def _make_room(self, room: Room, budget: Budget, process: Process, push: Push) -> None:
        """Drop data of senders above their share, for a push of a sender below its share."""
        wanted = room.needed_by(push) - room.used_by(process)
        if wanted <= budget.room:
            return
        used, owner = usage(room, self._processes.values()), process.owner
        wanted = min(wanted, fair_share(used, owner, budget.limit) - used[owner])
        while wanted > budget.room:
            victim = gives_way(usage(room, self._processes.values()), owner, budget.limit)
            if victim is None:
                return
            largest = largest_of(victim, room, self._processes.values())
            if room is Room.SERIES:
                self._forget_process(largest)
            else:
                largest.drop_held()

    def _forget_process(self, process: Process) -> None:
        [source] = [source for source, each in self._processes.items() if each is process]
        self._forget(source)


def _state(process: Process, now_s: float) -> InstanceState:
    return InstanceState(
        instance=process.instance,
        resource=process.resource,
        last_push_age_s=max(0.0, now_s - process.last_push_s),
        interval_s=process.interval_s,
        publisher=process.publisher,
        ended=process.ended,
        is_live=process.is_live(now_s),
        owner=process.owner,
    )


def _reason(refused: Counter[Refusal]) -> str | None:
    counts = ", ".join(f"{count} {refusal}" for refusal, count in refused.most_common())
    return f"refused: {counts}" if counts else None


class FirstSeen:
    """The time of the first push to this exporter, and the names of dropped processes."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._left: dict[tuple[Instance, str], None] = {}

    def counts_from_zero(self, push: Push, now_s: float) -> bool:
        """Return whether a process has just started, so that its counters begin at zero.

        Call this with the first push of a process. For an older process, the result must be false,
        so that no count is added twice. An earlier run of the exporter may have counted it, or this
        run before it dropped the process. The sequence of the push gives the age of the process,
        because each attempt to push has a number.
        """
        self._began_s = now_s if self._began_s is None else self._began_s
        if push.sequence is None or _name(push) in self._left:
            return False
        first_push_age_s = (push.sequence - 1) * (push.interval_s or DEFAULT_INTERVAL_S)
        return first_push_age_s <= min(now_s - self._began_s, COUNTER_RETENTION_S)

    def record_forgotten(self, instance: Instance, process_pid: str) -> None:
        """Record that a process was dropped."""
        self._left[instance, process_pid] = None
        if len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]


def _name(push: Push) -> tuple[Instance, str]:
    return push.instance, push.resource.get(PROCESS_PID, "")


def oldest_first(fleet: Fleet, now_s: float) -> list[CheckoutReport]:
    """Return every held checkout of the fleet, the longest held first."""
    return sorted(fleet.held(now_s), key=lambda reported: -reported.age_s(now_s))
