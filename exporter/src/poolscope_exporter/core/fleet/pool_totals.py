"""Add up histograms and leaks of one pool over the processes of a service, since their start."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from poolscope import catalogue
from poolscope.catalogue import Metric
from poolscope_exporter.core.fleet.point_sums import PointSums
from poolscope_exporter.core.model.pushes import HistogramValue, Point

TIMES: Final[Mapping[str, Metric]] = {
    "wait": catalogue.WAIT_TIME,
    "use": catalogue.USE_TIME,
    "create": catalogue.CREATE_TIME,
}
"""The histograms by the name that people read."""

TOTALS_METRICS: Final = frozenset(
    metric.name for metric in (*TIMES.values(), catalogue.LEAKS, catalogue.LEAKS_RECOVERED)
)

MAX_LEAK_LINES: Final = 50
"""The most lines with leaks that are listed, those with most leaks."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The times within which 50, 95 and 99 % of `count` durations ended, in seconds."""

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class LeakPlace(NamedTuple):
    """The place of leaks: their evidence, the route, and the line that took the connections."""

    evidence: str
    route: str
    call_site: str


@dataclass(frozen=True, slots=True)
class LineLeaks:
    """The leaks of one place, and how many of these connections were returned later."""

    place: LeakPlace
    leaks: int
    recovered: int


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """The quantiles by name of `TIMES`, absent without data, and the leaks by line."""

    times: Mapping[str, Quantiles] = field(default_factory=dict)
    leaks: tuple[LineLeaks, ...] = ()


NO_TOTALS: Final = PoolTotals()


def pool_totals(points: Iterable[Point]) -> PoolTotals:
    """Return the totals of the points of one pool in any number of processes."""
    found = list(points)
    sums = PointSums(found)
    times = {name: _quantiles(sums, metric, found) for name, metric in TIMES.items()}
    return PoolTotals({name: each for name, each in times.items() if each}, _leaks(found))


def _quantiles(sums: PointSums, metric: Metric, points: Iterable[Point]) -> Quantiles | None:
    values = [point.value for point in points if point.metric == metric.name]
    count = sum(sum(value.counts) for value in values if isinstance(value, HistogramValue))
    if not count:
        return None
    p50_s, p95_s, p99_s = (sums.quantile_of(metric, share) for share in (0.5, 0.95, 0.99))
    return Quantiles(count, p50_s, p95_s, p99_s)


def _leaks(points: Iterable[Point]) -> tuple[LineLeaks, ...]:
    leaks: Counter[LeakPlace] = Counter()
    recovered: Counter[LeakPlace] = Counter()
    counters = {catalogue.LEAKS.name: leaks, catalogue.LEAKS_RECOVERED.name: recovered}
    for point in points:
        counter = counters.get(point.metric)
        if counter is not None and isinstance(point.value, float | int):
            counter[_place(point.attributes)] += round(point.value)
    listed = sorted(
        (LineLeaks(place, count, recovered[place]) for place, count in leaks.items() if count),
        key=lambda each: (-each.leaks, each.place),
    )
    return tuple(listed[:MAX_LEAK_LINES])


def _place(attributes: Mapping[str, str]) -> LeakPlace:
    names = (catalogue.EVIDENCE, catalogue.HTTP_ROUTE, catalogue.CALL_SITE)
    return LeakPlace(*(attributes.get(name, "") for name in names))
