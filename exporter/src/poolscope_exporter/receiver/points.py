"""Decode the data points of one metric, from any sender, or give the reason of a refusal."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from poolscope.catalogue import Kind
from poolscope_exporter.core.model.pushes import Attributes, HistogramValue, Point
from poolscope_exporter.receiver.attribute_cache import (
    attributes_of_histogram,
    attributes_of_number,
)
from poolscope_exporter.receiver.attributes import as_text, number_of, read_attributes
from poolscope_exporter.receiver.exemplars import exemplars_of
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.translation import exponential_histograms as exponential

MAX_BUCKETS = 200
MAX_NAME_LENGTH = 255
MAX_UNIT_LENGTH = 63
"""The longest unit that OpenTelemetry's API allows for an instrument."""

_NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE

_AnyPoint = TypeVar("_AnyPoint", NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint)
_Value = float | HistogramValue


@dataclass(frozen=True, slots=True)
class _Series:
    """The common properties of the points of one metric."""

    name: str
    unit: str
    kind: Kind
    is_delta: bool
    has_time: bool


def points_of(metric: Metric, refused: Counter[str], *, has_time: bool) -> Iterator[Point]:
    """Yield the points that can be read, and count the others by reason.

    With `has_time`, the time of each point is read too.
    """
    reason = _refusal(metric)
    if reason:
        refused[reason] += count_of(metric)
        return
    match metric.WhichOneof("data"):
        case "gauge":
            yield from _numbers(metric, Kind.GAUGE, refused, has_time)
        case "sum":
            kind = Kind.COUNTER if metric.sum.is_monotonic else Kind.UP_DOWN_COUNTER
            yield from _numbers(metric, kind, refused, has_time)
        case "histogram":
            yield from _histograms(metric, refused, has_time)
        case "exponential_histogram":
            yield from _exponentials(metric, refused, has_time)


def count_of(metric: Metric) -> int:
    """Return the number of data points of a metric."""
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


def _refusal(metric: Metric) -> DecodeRefusal | None:
    """Return why no point of the metric can be read, or None if some may be readable."""
    kind = metric.WhichOneof("data")
    if kind == "summary":
        return DecodeRefusal.SUMMARY
    if len(metric.name) > MAX_NAME_LENGTH or len(metric.unit) > MAX_UNIT_LENGTH:
        return DecodeRefusal.NAME_TOO_LONG
    if kind in (None, "gauge"):
        return None
    temporality = getattr(metric, kind).aggregation_temporality
    if temporality not in (_DELTA, _CUMULATIVE):
        return DecodeRefusal.UNKNOWN_TEMPORALITY
    if kind == "sum" and temporality == _DELTA and not metric.sum.is_monotonic:
        # The start value of such a sum is unknown, so the exporter could show a negative number.
        return DecodeRefusal.DELTA_OF_GAUGE
    return None


def _numbers(metric: Metric, kind: Kind, refused: Counter[str], has_time: bool) -> Iterator[Point]:
    data = metric.gauge if kind is Kind.GAUGE else metric.sum
    is_delta = kind is not Kind.GAUGE and metric.sum.aggregation_temporality == _DELTA
    series = _Series(metric.name, metric.unit, kind, is_delta, has_time)

    def value_of(point: NumberDataPoint) -> float | None:
        value = number_of(point)
        return None if value is None or (kind is Kind.COUNTER and value < 0) else value

    yield from _each(series, data.data_points, value_of, attributes_of_number, refused)


def _histograms(metric: Metric, refused: Counter[str], has_time: bool) -> Iterator[Point]:
    is_delta = metric.histogram.aggregation_temporality == _DELTA
    series = _Series(metric.name, metric.unit, Kind.HISTOGRAM, is_delta, has_time)

    def value_of(point: HistogramDataPoint) -> HistogramValue | None:
        found = _buckets(point)
        return found and _with_exemplars(found, point, series)

    points = metric.histogram.data_points
    yield from _each(series, points, value_of, attributes_of_histogram, refused)


def _exponentials(metric: Metric, refused: Counter[str], has_time: bool) -> Iterator[Point]:
    is_delta = metric.exponential_histogram.aggregation_temporality == _DELTA
    series = _Series(metric.name, metric.unit, Kind.HISTOGRAM, is_delta, has_time)
    bounds = exponential.bounds_of(series.name)

    def value_of(point: ExponentialHistogramDataPoint) -> HistogramValue | None:
        found = exponential.buckets_of(point, bounds)
        return found and _with_exemplars(found, point, series)

    points = metric.exponential_histogram.data_points
    yield from _each(series, points, value_of, _attributes, refused)


def _each(
    series: _Series,
    points: Iterable[_AnyPoint],
    value_of: Callable[[_AnyPoint], _Value | None],
    attributes_of: Callable[[_AnyPoint], Attributes],
    refused: Counter[str],
) -> Iterator[Point]:
    for point in points:
        if point.flags & _NO_VALUE:
            continue
        value = value_of(point)
        if value is None:
            refused[DecodeRefusal.MALFORMED_POINT] += 1
            continue
        attributes = attributes_of(point)
        time_ns = point.time_unix_nano if series.has_time else 0
        start_ns = point.start_time_unix_nano
        yield Point(
            series.name, series.kind, series.unit, attributes, value, series.is_delta, start_ns,
            time_ns,
        )  # fmt: skip


def _attributes(point: ExponentialHistogramDataPoint) -> Attributes:
    found = read_attributes(point.attributes).items()
    return Attributes({name: as_text(value) for name, value in found})


def _buckets(point: HistogramDataPoint) -> HistogramValue | None:
    """Return the value of a histogram point, or None if it contradicts itself.

    A sender may leave out the sum. Then it is unknown (NaN), not 0.
    """
    bounds = tuple(point.explicit_bounds)
    counts = tuple(point.bucket_counts) or (point.count,)
    if len(counts) > MAX_BUCKETS or len(counts) != len(bounds) + 1:
        return None
    if sum(counts) != point.count or not all(map(math.isfinite, bounds)):
        return None
    total = point.sum if point.HasField("sum") else math.nan
    is_sorted = all(low < high for low, high in pairwise(bounds))
    return HistogramValue(bounds, counts, total) if is_sorted else None


def _with_exemplars(
    value: HistogramValue,
    point: HistogramDataPoint | ExponentialHistogramDataPoint,
    series: _Series,
) -> HistogramValue:
    exemplars = exemplars_of(series.name, point, value.bounds)
    return replace(value, exemplars=exemplars) if exemplars else value
