"""Build OTLP metric requests, as any sender may write them."""

from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)

from poolscope import catalogue

Attributes = Mapping[str, object]

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
UNSPECIFIED = AggregationTemporality.AGGREGATION_TEMPORALITY_UNSPECIFIED
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA

POOL: Attributes = {
    catalogue.POOL_NAME: "orders",
    catalogue.DB_NAMESPACE: "orders",
    catalogue.SERVER_ADDRESS: "10.0.0.1",
    catalogue.SERVER_PORT: 5432,
}

SHOP: Attributes = {
    catalogue.SERVICE_NAMESPACE: "acme",
    catalogue.SERVICE_NAME: "shop",
    catalogue.SERVICE_INSTANCE_ID: "shop-1",
}


def a_request(
    *metrics: Metric, push: Sequence[Metric] = (), resource: Attributes = SHOP
) -> ExportMetricsServiceRequest:
    """Return a request of one resource; `push` are the metrics of poolscope's own scope."""
    request = ExportMetricsServiceRequest()
    found = request.resource_metrics.add()
    found.resource.attributes.extend(pairs(resource))
    _add_scope(found, catalogue.SCOPE, metrics)
    if push:
        _add_scope(found, catalogue.PUSH_SCOPE, push)
    return request


def a_gauge(name: str, value: float, attributes: Attributes = POOL, unit: str = "") -> Metric:
    return Metric(name=name, unit=unit, gauge=Gauge(data_points=[number(value, attributes)]))


def gauges(name: str, *points: NumberDataPoint) -> Metric:
    return Metric(name=name, gauge=Gauge(data_points=points))


def a_sum(
    name: str,
    value: float,
    attributes: Attributes = POOL,
    *,
    is_monotonic: bool = True,
    temporality: AggregationTemporality.ValueType = CUMULATIVE,
    unit: str = "",
) -> Metric:
    points = [number(value, attributes)]
    return Metric(
        name=name,
        unit=unit,
        sum=Sum(data_points=points, is_monotonic=is_monotonic, aggregation_temporality=temporality),
    )


def a_histogram(
    name: str,
    bounds: Sequence[float],
    counts: Sequence[int],
    *,
    total: float | None = 1.5,
    count: int | None = None,
    temporality: AggregationTemporality.ValueType = CUMULATIVE,
) -> Metric:
    point = HistogramDataPoint(
        attributes=pairs(POOL),
        explicit_bounds=bounds,
        bucket_counts=counts,
        count=sum(counts) if count is None else count,
        sum=total,
    )
    return Metric(
        name=name,
        unit="s",
        histogram=Histogram(data_points=[point], aggregation_temporality=temporality),
    )


def an_exponential_histogram(
    name: str,
    counts: Mapping[int, int],
    *,
    scale: int = 0,
    zeros: int = 0,
    zero_threshold: float = 0.0,
    negative: Sequence[int] = (),
    count: int | None = None,
    total: float | None = 1.5,
    unit: str = "s",
    attributes: Attributes = POOL,
    temporality: AggregationTemporality.ValueType = CUMULATIVE,
) -> Metric:
    """Return a histogram whose bucket `index` holds `counts[index]`; it begins with bucket 0."""
    first = min([0, *counts])
    held = [counts.get(index, 0) for index in range(first, max(counts, default=first) + 1)]
    point = ExponentialHistogramDataPoint(
        attributes=pairs(attributes),
        scale=scale,
        zero_count=zeros,
        zero_threshold=zero_threshold,
        positive=ExponentialHistogramDataPoint.Buckets(offset=first, bucket_counts=held),
        negative=ExponentialHistogramDataPoint.Buckets(bucket_counts=negative),
        count=sum(held) + zeros if count is None else count,
        sum=total,
    )
    return Metric(
        name=name,
        unit=unit,
        exponential_histogram=ExponentialHistogram(
            data_points=[point], aggregation_temporality=temporality
        ),
    )


def a_summary(name: str) -> Metric:
    return Metric(name=name, summary=Summary(data_points=[SummaryDataPoint(count=1)]))


def number(value: float, attributes: Attributes = POOL) -> NumberDataPoint:
    if isinstance(value, int):
        return NumberDataPoint(attributes=pairs(attributes), as_int=value)
    return NumberDataPoint(attributes=pairs(attributes), as_double=value)


def a_marker(sequence: int = 7, **attributes: object) -> Metric:
    """Return the point that makes a request a push of poolscope."""
    said = {
        catalogue.PUSH_INTERVAL: 5.0,
        catalogue.PUSH_END: False,
        catalogue.PUSH_PUBLISHER: "exporter",
        **attributes,
    }
    return gauges(catalogue.PUSH.name, number(sequence, said))


def pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


def _add_scope(resource: ResourceMetrics, name: str, metrics: Sequence[Metric]) -> None:
    scope = resource.scope_metrics.add()
    scope.scope.name = name
    scope.metrics.extend(metrics)


def _any(value: object) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    raise TypeError(value)
