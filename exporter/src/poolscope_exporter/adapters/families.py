"""Collect samples into Prometheus metric families, so that no series appears twice."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from prometheus_client.core import Metric
from prometheus_client.utils import floatToGoString

from poolscope_exporter.core.checkouts import Buckets

Labels = Mapping[str, str]
_Key = tuple[tuple[str, str], ...]

_RESERVED = frozenset(("le", "quantile"))
"""Labels that Prometheus gives a meaning of its own."""


class FamilyType(Enum):
    """The Prometheus types that we expose."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(slots=True)
class _Family:
    type: FamilyType
    help: str
    values: dict[_Key, float | Buckets] = field(default_factory=dict)


class Families:
    """Families in the order of their first sample; samples with equal labels are summed."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def add(
        self, name: str, kind: FamilyType, text: str, labels: Labels, value: float | Buckets
    ) -> None:
        """Add a sample; one whose type contradicts its family's is left out.

        Two senders may disagree on what a metric is, and one exposition can hold only one of them.
        """
        family = self._families.setdefault(_base(name, kind), _Family(kind, text))
        if family.type is not kind:
            return
        key = tuple(item for item in labels.items() if item[0] not in _RESERVED)
        known = family.values.get(key)
        family.values[key] = value if known is None else _sum(known, value)

    def collect(self) -> Iterator[Metric]:
        """Yield the families for the official encoders."""
        for name, family in self._families.items():
            metric = Metric(name, family.help, family.type.value, _unit(name))
            for key, value in family.values.items():
                _add_samples(metric, family.type, dict(key), value)
            yield metric


def _base(name: str, kind: FamilyType) -> str:
    """Return the family's name, which for a counter lacks the suffix of its samples."""
    return name.removesuffix("_total") if kind is FamilyType.COUNTER else name


def _unit(name: str) -> str:
    return "seconds" if name.endswith("_seconds") else ""


def _sum(one: float | Buckets, other: float | Buckets) -> float | Buckets:
    if isinstance(one, Buckets) and isinstance(other, Buckets):
        if one.bounds != other.bounds:
            return one
        counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
        return Buckets(one.bounds, counts, one.sum + other.sum)
    if isinstance(one, Buckets) or isinstance(other, Buckets):
        return one
    return one + other


def _add_samples(
    metric: Metric, kind: FamilyType, labels: dict[str, str], value: float | Buckets
) -> None:
    if isinstance(value, Buckets):
        _add_histogram(metric, labels, value)
    else:
        suffix = "_total" if kind is FamilyType.COUNTER else ""
        metric.add_sample(metric.name + suffix, labels, value)


def _add_histogram(metric: Metric, labels: dict[str, str], buckets: Buckets) -> None:
    total = 0
    bounds = (*buckets.bounds, float("inf"))
    for bound, count in zip(bounds, buckets.counts, strict=True):
        total += count
        le = floatToGoString(bound)  # type: ignore[no-untyped-call]
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": le}, total)
    metric.add_sample(f"{metric.name}_count", labels, total)
    metric.add_sample(f"{metric.name}_sum", labels, buckets.sum)
