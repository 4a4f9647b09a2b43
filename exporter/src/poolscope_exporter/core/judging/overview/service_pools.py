"""Group the pools of all processes into one row per service and pool."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool
from poolscope_exporter.core.judging.diagnosis import Diagnosis, PoolDiagnosis
from poolscope_exporter.core.judging.overview.worst_first import DIAGNOSES, order_pools
from poolscope_exporter.core.judging.situation import PoolAssessment
from poolscope_exporter.core.judging.verdicts import Judgement, Verdict
from poolscope_exporter.core.model.checkouts import Pool

_MINUTE_S: Final = 60.0
_UNTROUBLED: Final = frozenset({Diagnosis.HEALTHY, Diagnosis.UNKNOWN})


class PoolName(NamedTuple):
    """The name of a pool in all processes of a service."""

    namespace: str
    service: str
    pool: str


def pool_name_of(pool: Pool) -> PoolName:
    """Return the name of a pool without its process and its server."""
    return PoolName(pool.instance.namespace, pool.instance.name, pool.name)


def name_of_service_pool(pool: ServicePool) -> PoolName:
    """Return the name of a pool without its server."""
    return PoolName(pool.namespace, pool.service, pool.pool)


@dataclass(frozen=True, slots=True)
class PoolSums:
    """The sums over the processes that report a number, or None if no process reports it.

    The connections beyond the size of their pools are `overflow`. Failures are callers that gave up
    or got an error, per minute in the window of the diagnosis.
    """

    used: int | None
    idle: int | None
    overflow: int | None
    limit: int | None
    waiting: int | None
    failures_per_minute: float | None


@dataclass(frozen=True, slots=True)
class ServicePoolState:
    """One pool of a service in all its processes, the worst process first.

    The held checkouts that are judged to be leaked are counted in `leaked`.
    """

    name: PoolName
    processes: tuple[PoolAssessment, ...]
    sums: PoolSums
    leaked: int = 0

    @property
    def worst(self) -> PoolDiagnosis:
        """Return the worst diagnosis of its processes."""
        return self.processes[0].diagnosis

    @property
    def is_troubled(self) -> bool:
        """Return whether a process has a diagnosis other than healthy or unknown."""
        return self.worst.diagnosis not in _UNTROUBLED

    @property
    def since_s(self) -> float | None:
        """Return for how long any process has had the worst diagnosis, in seconds."""
        ages = [
            each.diagnosis.since_s
            for each in self.processes
            if each.diagnosis.diagnosis is self.worst.diagnosis
        ]
        return max((age_s for age_s in ages if age_s is not None), default=None)

    @property
    def diagnoses(self) -> Mapping[Diagnosis, int]:
        """Return the number of processes by diagnosis, the worst first."""
        counts = Counter(each.diagnosis.diagnosis for each in self.processes)
        return {each: counts[each] for each in DIAGNOSES if each in counts}


@dataclass(frozen=True, slots=True)
class OverviewNumbers:
    """The numbers of all pools; None is unknown, and `unknown` counts pools without a diagnosis."""

    pools: int
    troubled: int
    unknown: int
    waiting: int | None
    leaked: int
    failures_per_minute: float | None


def group_by_service(
    pools: Iterable[PoolAssessment], judgements: Iterable[Judgement] = ()
) -> list[ServicePoolState]:
    """Return one state per service and pool, the worst first."""
    found: dict[PoolName, list[PoolAssessment]] = {}
    for each in order_pools(pools):
        found.setdefault(pool_name_of(each.pool), []).append(each)
    leaked = Counter(
        pool_name_of(each.checkout.pool) for each in judgements if each.verdict is Verdict.LEAKED
    )
    states = [
        ServicePoolState(name, tuple(processes), pool_sums(processes), leaked[name])
        for name, processes in found.items()
    ]
    return sorted(states, key=_badness)


def _badness(state: ServicePoolState) -> tuple[int, int, PoolName]:
    return DIAGNOSES.index(state.worst.diagnosis), -(state.sums.waiting or 0), state.name


def pool_sums(processes: Iterable[PoolAssessment]) -> PoolSums:
    """Return the sums of the numbers of these pools."""
    numbers = [each.numbers for each in processes]
    return PoolSums(
        used=_sum(each.used for each in numbers),
        idle=_sum(each.idle for each in numbers),
        overflow=_sum(None if each.overflow is None else max(0, each.overflow) for each in numbers),
        limit=_sum(each.max for each in numbers),
        waiting=_sum(each.pending for each in numbers),
        failures_per_minute=_rate(map(failures_per_minute, numbers)),
    )


def verdicts_by_pool(judgements: Iterable[Judgement]) -> Mapping[PoolName, frozenset[Verdict]]:
    """Return the verdicts on the held checkouts of each pool."""
    found: dict[PoolName, set[Verdict]] = {}
    for each in judgements:
        found.setdefault(pool_name_of(each.checkout.pool), set()).add(each.verdict)
    return {name: frozenset(verdicts) for name, verdicts in found.items()}


def overview_numbers(states: Iterable[ServicePoolState]) -> OverviewNumbers:
    """Return the numbers of all pools together."""
    found = list(states)
    return OverviewNumbers(
        pools=len(found),
        troubled=sum(1 for each in found if each.is_troubled),
        unknown=sum(1 for each in found if each.worst.diagnosis is Diagnosis.UNKNOWN),
        waiting=_sum(each.sums.waiting for each in found),
        leaked=sum(each.leaked for each in found),
        failures_per_minute=_rate(each.sums.failures_per_minute for each in found),
    )


def failures_per_minute(numbers: PoolNumbers) -> float | None:
    """Return how many callers failed per minute, or None if that is unknown."""
    growth = numbers.growth
    if growth.timeouts is None or not growth.span_s:
        return None
    return (growth.timeouts + growth.failures) * _MINUTE_S / growth.span_s


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rate(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
