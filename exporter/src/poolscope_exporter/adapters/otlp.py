"""Decode OTLP metric requests into pushes."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
)

from poolscope.catalogue import (
    HOST_NAME,
    PROCESS_PID,
    PUSH_SCOPE,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
    Kind,
)
from poolscope_exporter.adapters.attributes import as_text, read_attributes
from poolscope_exporter.adapters.point_attributes import (
    attributes_of_histogram,
    attributes_of_number,
)
from poolscope_exporter.adapters.push_scope import number_of, read_push_scope
from poolscope_exporter.adapters.refusals import Unreadable
from poolscope_exporter.core.checkouts import Buckets, Instance, Point, Push

MAX_BUCKETS = 200
MAX_POINTS = 100_000

_NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


class MalformedPushError(Exception):
    """A request is not an OTLP metrics request; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pushes of one request, and how many of its points were refused, by reason."""

    pushes: tuple[Push, ...]
    refused: Mapping[str, int]


def parse_protobuf(body: bytes) -> ExportMetricsServiceRequest:
    """Return the request; raises MalformedPushError."""
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as exc:
        raise MalformedPushError(
            "the body is not an OTLP ExportMetricsServiceRequest in protobuf"
        ) from exc
    return request


def parse_json(body: bytes) -> ExportMetricsServiceRequest:
    """Return the request; fields that we do not know are ignored. Raises MalformedPushError."""
    request = ExportMetricsServiceRequest()
    error = MalformedPushError("the body is not an OTLP ExportMetricsServiceRequest in JSON")
    if not body.lstrip().startswith(b"{"):
        raise error
    try:
        # RecursionError: json.loads gives up on deep nesting before protobuf's own limit.
        json_format.Parse(body, request, ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as exc:
        raise error from exc
    return request


def decode(request: ExportMetricsServiceRequest) -> Decoded:
    """Return one push per resource of the request; never raises."""
    refused: Counter[str] = Counter()
    pushes = tuple(_push(resource, refused) for resource in request.resource_metrics)
    return Decoded(pushes, refused)


def _push(metrics: ResourceMetrics, refused: Counter[str]) -> Push:
    resource = {
        name: as_text(value) for name, value in read_attributes(metrics.resource.attributes).items()
    }
    push = Push(_instance(resource), resource, tuple(_points(metrics, refused)))
    own = [
        metric
        for scope in metrics.scope_metrics
        if scope.scope.name == PUSH_SCOPE
        for metric in scope.metrics
    ]
    said = read_push_scope(push.instance, own, refused)
    if said is None:
        return push
    return replace(
        push,
        sequence=said.sequence,
        interval_s=said.interval_s,
        is_end=said.is_end,
        publisher=said.publisher,
        held=said.held,
        backend_pids=said.backend_pids,
    )


def _instance(resource: Mapping[str, str]) -> Instance:
    host, pid = resource.get(HOST_NAME, ""), resource.get(PROCESS_PID, "")
    return Instance(
        namespace=resource.get(SERVICE_NAMESPACE, ""),
        name=resource.get(SERVICE_NAME) or "unknown_service",
        # SDKs that send no id would otherwise fall together into one instance.
        id=resource.get(SERVICE_INSTANCE_ID) or "/".join(filter(None, (host, pid))),
    )


def _points(metrics: ResourceMetrics, refused: Counter[str]) -> Iterator[Point]:
    count = 0
    for scope in metrics.scope_metrics:
        if scope.scope.name == PUSH_SCOPE:
            continue
        for metric in scope.metrics:
            for point in _points_of(metric, refused):
                count += 1
                if count <= MAX_POINTS:
                    yield point
                else:
                    refused[Unreadable.TOO_MANY_POINTS] += 1


def _points_of(metric: Metric, refused: Counter[str]) -> Iterator[Point]:
    match metric.WhichOneof("data"):
        case "gauge":
            yield from _numbers(metric, metric.gauge.data_points, Kind.GAUGE, False, refused)
        case "sum":
            kind = Kind.COUNTER if metric.sum.is_monotonic else Kind.UP_DOWN_COUNTER
            is_delta = metric.sum.aggregation_temporality == _DELTA
            yield from _numbers(metric, metric.sum.data_points, kind, is_delta, refused)
        case "histogram":
            yield from _histograms(metric, refused)
        case "exponential_histogram":
            refused[Unreadable.EXPONENTIAL_HISTOGRAM] += len(
                metric.exponential_histogram.data_points
            )
        case "summary":
            refused[Unreadable.SUMMARY] += len(metric.summary.data_points)


def _numbers(
    metric: Metric,
    points: Iterable[NumberDataPoint],
    kind: Kind,
    is_delta: bool,
    refused: Counter[str],
) -> Iterator[Point]:
    for point in points:
        if point.flags & _NO_VALUE:
            continue
        value = number_of(point)
        if value is None or (kind is Kind.COUNTER and value < 0):
            refused[Unreadable.MALFORMED_POINT] += 1
            continue
        yield _point(metric, kind, point, value, is_delta)


def _histograms(metric: Metric, refused: Counter[str]) -> Iterator[Point]:
    is_delta = metric.histogram.aggregation_temporality == _DELTA
    for point in metric.histogram.data_points:
        if point.flags & _NO_VALUE:
            continue
        buckets = _buckets(point)
        if buckets is None:
            refused[Unreadable.MALFORMED_POINT] += 1
            continue
        yield _point(metric, Kind.HISTOGRAM, point, buckets, is_delta)


def _point(
    metric: Metric,
    kind: Kind,
    point: NumberDataPoint | HistogramDataPoint,
    value: float | Buckets,
    is_delta: bool,
) -> Point:
    attributes = (
        attributes_of_number(point)
        if isinstance(point, NumberDataPoint)
        else attributes_of_histogram(point)
    )
    start_ns = point.start_time_unix_nano
    return Point(metric.name, kind, metric.unit, attributes, value, is_delta, start_ns)


def _buckets(point: HistogramDataPoint) -> Buckets | None:
    """Return the value of a histogram point, or None where it contradicts itself.

    A sender may leave out the sum; it is then unknown, which is not 0.
    """
    bounds = tuple(point.explicit_bounds)
    counts = tuple(point.bucket_counts) or (point.count,)
    is_sorted = all(low < high for low, high in pairwise(bounds))
    if len(counts) != len(bounds) + 1 or len(counts) > MAX_BUCKETS or not is_sorted:
        return None
    if sum(counts) != point.count or not all(map(math.isfinite, bounds)):
        return None
    return Buckets(bounds, counts, point.sum if point.HasField("sum") else math.nan)
