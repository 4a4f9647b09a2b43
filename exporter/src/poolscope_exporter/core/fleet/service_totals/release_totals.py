"""Add up the counters of each version of a service, also of processes that are gone.

A rolling deploy ends the old processes minutes before a person compares both versions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import SERVICE_VERSION, FailureReason, Metric
from poolscope_exporter.core.fleet.point_sums import PointSums
from poolscope_exporter.core.fleet.process import Process
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import HistogramValue, Point, add_values

MAX_RELEASES: Final = 200
"""The most versions of pools with a sum; the service with most of them loses its oldest one."""

_COUNTED: Final[Mapping[str, str]] = {
    catalogue.WAIT_TIME.name: "",
    catalogue.CHECKOUTS.name: "",
    catalogue.TIMEOUTS.name: "",
    catalogue.LEAKS.name: "",
    catalogue.CHECKOUT_FAILURES.name: catalogue.REASON,
}
"""The counters of a release, each with the attribute that divides it."""

_BY_NAME: Final[Mapping[str, Metric]] = {
    each.name: each
    for each in (
        catalogue.WAIT_TIME,
        catalogue.CHECKOUTS,
        catalogue.TIMEOUTS,
        catalogue.LEAKS,
        catalogue.CHECKOUT_FAILURES,
    )
}

_CounterName = tuple[str, str]
_Counters = dict[_CounterName, float | HistogramValue]


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """One version of a service, as its processes report it, and one of its pools."""

    pool: ServicePool
    version: str


@dataclass(frozen=True, slots=True)
class ReleaseNumbers:
    """The sums of one version of a service for one pool; None is unknown.

    Of its `processes`, `live` push now. Its first process pushed `first_seen_age_s`
    ago, as far as this exporter has seen it.
    """

    key: ReleaseKey
    processes: int
    live: int
    first_seen_age_s: float
    checkouts: int | None
    wait_p95_s: float | None
    timeouts: int | None
    failures: int | None
    leaks: int | None

    @property
    def callers(self) -> int | None:
        """Return the callers that took a connection or failed; None if the first are unknown."""
        if self.checkouts is None:
            return None
        return self.checkouts + (self.timeouts or 0) + (self.failures or 0)


def _any_pool(_: ServicePool) -> bool:
    return True


@dataclass(slots=True)
class _Release:
    first_seen_s: float
    processes: int = 0
    live: int = 0
    counters: _Counters = field(default_factory=dict)

    def add_process(self, counters: _Counters, *, is_live: bool = False) -> None:
        self.processes += 1
        self.live += is_live
        for name, value in counters.items():
            before = self.counters.get(name)
            self.counters[name] = value if before is None else add_values(before, value)


class ReleaseTotals:
    """The counters of processes that are gone, by version; times are one monotonic clock."""

    def __init__(self, most: int = MAX_RELEASES) -> None:
        self._most = most
        self._gone: dict[ReleaseKey, _Release] = {}

    def add_ended(self, process: Process) -> None:
        """Add the last counters of a process that is gone.

        A process that still pushes would be counted twice: its next push has the same totals.
        """
        for key, counters in _counters_of(process).items():
            release = self._gone.get(key)
            if release is None:
                release = self._gone[key] = _Release(process.first_push_s)
            release.first_seen_s = min(release.first_seen_s, process.first_push_s)
            release.add_process(counters)
        while len(self._gone) > self._most:
            self._drop_one()

    def compared(
        self,
        processes: Iterable[Process],
        now_s: float,
        is_wanted: Callable[[ServicePool], bool] = _any_pool,
    ) -> list[ReleaseNumbers]:
        """Return the sums of each version, with the present processes; the newest version first."""
        found = {
            key: _Release(each.first_seen_s, each.processes, 0, dict(each.counters))
            for key, each in self._gone.items()
            if is_wanted(key.pool)
        }
        # The provider of a process pushes under the same name; poolscope's push comes last.
        present: dict[Instance, Process] = {each.instance: each for each in processes}
        for process in present.values():
            for key, counters in _counters_of(process, is_wanted).items():
                release = found.setdefault(key, _Release(process.first_push_s))
                release.first_seen_s = min(release.first_seen_s, process.first_push_s)
                release.add_process(counters, is_live=process.is_live(now_s))
        numbers = [_numbers(key, release, now_s) for key, release in found.items()]
        return sorted(numbers, key=lambda each: (each.first_seen_age_s, each.key.version))

    def _drop_one(self) -> None:
        """Drop the oldest version of the service that has most of them."""
        of_service: dict[tuple[str, str], list[ReleaseKey]] = {}
        for key in self._gone:
            of_service.setdefault((key.pool.namespace, key.pool.service), []).append(key)
        most = max(of_service.values(), key=len)
        del self._gone[min(most, key=lambda key: self._gone[key].first_seen_s)]


def _counters_of(
    process: Process, is_wanted: Callable[[ServicePool], bool] = _any_pool
) -> dict[ReleaseKey, _Counters]:
    """Return the counters of each pool of a process; none if it does not report its version."""
    version = process.resource.get(SERVICE_VERSION, "")
    if not version:
        return {}
    found: dict[ReleaseKey, _Counters] = {}
    for pool, points in process.pool_counters(
        lambda each: is_wanted(service_pool_of(each))
    ).items():
        counters = found.setdefault(ReleaseKey(service_pool_of(pool), version), {})
        for point in points:
            if point.metric in _COUNTED:
                name = point.metric, point.attributes.get(_COUNTED[point.metric], "")
                before = counters.get(name)
                counters[name] = point.value if before is None else add_values(before, point.value)
    return {key: counters for key, counters in found.items() if counters}


def _numbers(key: ReleaseKey, release: _Release, now_s: float) -> ReleaseNumbers:
    sums = PointSums(_point(*name, value) for name, value in release.counters.items())
    p95_s = sums.quantile_of(catalogue.WAIT_TIME, 0.95)
    failures = sums.sum_of(catalogue.CHECKOUT_FAILURES, catalogue.REASON, FailureReason.ERROR)
    return ReleaseNumbers(
        key=key,
        processes=release.processes,
        live=release.live,
        first_seen_age_s=max(0.0, now_s - release.first_seen_s),
        checkouts=sums.whole_sum_of(catalogue.CHECKOUTS),
        wait_p95_s=p95_s if p95_s is not None and isfinite(p95_s) else None,
        timeouts=sums.whole_sum_of(catalogue.TIMEOUTS),
        failures=None if failures is None else round(failures),
        leaks=sums.whole_sum_of(catalogue.LEAKS),
    )


def _point(name: str, reason: str, value: float | HistogramValue) -> Point:
    metric = _BY_NAME[name]
    attributes = {_COUNTED[name]: reason} if _COUNTED[name] else {}
    return Point(name, metric.kind, metric.unit, attributes, value)
