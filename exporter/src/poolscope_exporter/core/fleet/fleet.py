"""Remember what applications say: their series, their pools and the checkouts they hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from poolscope.catalogue import PROCESS_PID, Publisher
from poolscope_exporter.core.fleet.admission import Refusal
from poolscope_exporter.core.fleet.held_list import CheckoutReport
from poolscope_exporter.core.fleet.limits import Limits, SharedBudgets
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.process import Process
from poolscope_exporter.core.fleet.retention import (
    COUNTER_RETENTION_S,
    DEFAULT_INTERVAL_S,
    TOTALS_RETENTION_S,
)
from poolscope_exporter.core.fleet.route_totals import ServiceTotal, ServiceTotals
from poolscope_exporter.core.model.checkouts import Instance, Pool
from poolscope_exporter.core.model.pushes import Point, Push

MAX_LEFT = 10_000
"""Processes that are remembered by name alone; the oldest go first."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of a push: how many points were refused, and one sentence why.

    `restarted`: the push comes from a new process under a name that was known. `accepted` is
    false where the whole push was left out.
    """

    rejected_points: int
    reason: str | None
    restarted: bool = False
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class InstanceState:
    """One application process, as far as its pushes tell.

    `ended`: it said good-bye. `is_live`: neither that nor three pushes missed. What is not live
    is listed until its counters are forgotten.
    """

    instance: Instance
    resource: Mapping[str, str]
    last_push_age_s: float
    interval_s: float
    publisher: Publisher
    ended: bool
    is_live: bool


MAX_INSTANCES = 1250
"""A thousand, and the quarter more that a rolling deploy starts before it stops any."""

LIMITS = Limits()

FULL_S = 1.0
"""Who is refused for want of room is many: the next second nobody looks for some again."""

_Source = tuple[Instance, bool]
"""An instance, and whether it is `poolscope` that speaks of it.

In a process whose OpenTelemetry provider pushes here too, both do, each in its own time: neither
may end, or renumber, what the other says.
"""


class Fleet:
    """All application processes that push here; times are the exporter's monotonic clock.

    Beyond `max_instances`, a new one takes the place of the one that is gone for longest; where
    all are live it is refused.
    Not for several threads at once: what it returns is made at the call and may go anywhere.
    `refused` counts what was not kept, by reason.
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
        self._routes = ServiceTotals(max_routes_per_pool=max_routes_per_pool)
        self._first_seen = FirstSeen()
        self._full_until_s = float("-inf")

    def record_push(self, push: Push, now_s: float) -> PushResult:
        """Take a push in, as far as it is in order and within bounds."""
        source = (push.instance, push.sequence is not None)
        process = self._processes.get(source)
        if process is None and not self._has_room(now_s):
            return self._refuse_whole(push, Refusal.TOO_MANY_INSTANCES)
        restarted = process is not None and process.is_succeeded_by(push, now_s)
        if process and not restarted and process.is_ahead_of(push):
            return self._refuse_whole(push, Refusal.OUT_OF_ORDER)
        if process and restarted:
            process.release_room()
        if process is None or restarted:
            process = self._processes[source] = self._process(push, now_s)
        refused = process.apply_push(push, now_s)
        if push.is_end:
            self._full_until_s = float("-inf")
        self.refused.update(refused.points)
        self.refused.update(refused.held)
        return PushResult(refused.points.total(), _reason(refused.points), restarted)

    def tick(self, now_s: float) -> None:
        """Forget what is over; nothing that is asked depends on how often this is called."""
        for source, process in list(self._processes.items()):
            process.expire(now_s)
            if process.is_forgotten(now_s):
                self._forget(source)
        self._routes.expire_pools(now_s - TOTALS_RETENTION_S)

    def series(self, now_s: float) -> Iterator[tuple[Instance, Point]]:
        """Return the series to expose: of processes that leave the publishing to the exporter."""
        return iter(
            [
                (process.instance, point)
                for process in self._remembered(now_s)
                if process.publisher is Publisher.EXPORTER
                for point in process.live_points(now_s)
            ]
        )

    def route_totals(self) -> list[ServiceTotal]:
        """Return the route counters of services, summed over processes that are and that were."""
        return list(self._routes.totals())

    def held(self, now_s: float) -> list[CheckoutReport]:
        """Return the held checkouts of all live processes."""
        return [reported for p in self._remembered(now_s) for reported in p.held_checkouts(now_s)]

    def held_by(self, instance: Instance, now_s: float) -> list[CheckoutReport]:
        """Return the held checkouts of one process; none where it is not live."""
        process = self._processes.get((instance, True))
        return list(process.held_checkouts(now_s)) if process else []

    def pools(self, now_s: float) -> dict[Pool, PoolNumbers]:
        """Return the numbers of every pool of the live processes."""
        found: dict[Pool, PoolNumbers] = {}
        for process in self._remembered(now_s):
            found.update(process.pool_numbers(now_s))
        return found

    def live_backend_pids(self, now_s: float) -> Mapping[Pool, frozenset[int]]:
        """Return the backend pids of all open connections, by pool, of the live processes."""
        found: dict[Pool, frozenset[int]] = {}
        for process in self._remembered(now_s):
            if process.is_live(now_s):
                found.update(process.backend_pids)
        return found

    def instances(self, now_s: float) -> list[InstanceState]:
        """Return the state of every process that is remembered."""
        states = {p.instance: _state(p, now_s) for p in self._remembered(now_s)}
        return list(states.values())

    def _process(self, push: Push, now_s: float) -> Process:
        is_new = self._first_seen.counts_from_zero(push, now_s)
        return Process(
            push.instance,
            self._max_pools,
            self._max_series,
            self._routes,
            self._budgets,
            is_from_zero=is_new,
        )

    def _forget(self, source: _Source) -> None:
        process = self._processes.pop(source)
        process.release_room()
        self._first_seen.record_forgotten(process.instance, process.resource.get(PROCESS_PID, ""))

    def _remembered(self, now_s: float) -> list[Process]:
        """Return the processes, `poolscope`'s own word of each last: it outweighs a provider's."""
        sources = sorted(self._processes, key=lambda source: source[1])
        found = (self._processes[source] for source in sources)
        return [process for process in found if not process.is_forgotten(now_s)]

    def _has_room(self, now_s: float) -> bool:
        if len(self._processes) < self._max_instances:
            return True
        if now_s < self._full_until_s:
            return False
        gone = [item for item in self._processes.items() if not item[1].is_live(now_s)]
        if gone:
            self._forget(min(gone, key=lambda item: item[1].last_push_s)[0])
        else:
            self._full_until_s = now_s + FULL_S
        return bool(gone)

    def _refuse_whole(self, push: Push, refusal: Refusal) -> PushResult:
        self.refused[refusal] += 1
        return PushResult(len(push.points), _reason(Counter({refusal: 1})), accepted=False)


def _state(process: Process, now_s: float) -> InstanceState:
    return InstanceState(
        instance=process.instance,
        resource=process.resource,
        last_push_age_s=max(0.0, now_s - process.last_push_s),
        interval_s=process.interval_s,
        publisher=process.publisher,
        ended=process.ended,
        is_live=process.is_live(now_s),
    )


def _reason(refused: Counter[Refusal]) -> str | None:
    counts = ", ".join(f"{count} {refusal}" for refusal, count in refused.most_common())
    return f"refused: {counts}" if counts else None


class FirstSeen:
    """Which processes were seen before: since when this exporter listens, and whom it forgot."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._left: dict[tuple[Instance, str], None] = {}

    def counts_from_zero(self, push: Push, now_s: float) -> bool:
        """Return whether nothing that the process counted so far was ever counted here.

        Asked of the first push of a process. An exporter that ran before this one
        may have counted it, or this one until it forgot the process. Every attempt to push has a
        number, so that the number tells how long ago the first one was.
        """
        self._began_s = now_s if self._began_s is None else self._began_s
        if push.sequence is None or _name(push) in self._left:
            return False
        first_push_age_s = (push.sequence - 1) * (push.interval_s or DEFAULT_INTERVAL_S)
        return first_push_age_s <= min(now_s - self._began_s, COUNTER_RETENTION_S)

    def record_forgotten(self, instance: Instance, process_pid: str) -> None:
        """Note that a process is forgotten."""
        self._left[instance, process_pid] = None
        if len(self._left) > MAX_LEFT:
            del self._left[next(iter(self._left))]


def _name(push: Push) -> tuple[Instance, str]:
    return push.instance, push.resource.get(PROCESS_PID, "")


def oldest_first(fleet: Fleet, now_s: float) -> list[CheckoutReport]:
    """Return every held checkout of the fleet, the longest held first."""
    return sorted(fleet.held(now_s), key=lambda reported: -reported.age_s(now_s))
