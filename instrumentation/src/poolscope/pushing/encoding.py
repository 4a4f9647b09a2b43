"""Convert samples to an OTLP request, with OpenTelemetry's encoder."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope.pushing.samples import Sample
from poolscope.recording.histogram import Buckets
from poolscope.version import __version__

CUMULATIVE = AggregationTemporality.CUMULATIVE


def encode(samples: Iterable[Sample], resource: Resource, start_ns: int, now_ns: int) -> bytes:
    """Return the serialised `ExportMetricsServiceRequest` of all samples of one process.

    `start_ns` is the start of the counters, and `now_ns` is now, in wall-clock nanoseconds.
    """
    by_scope: dict[str, list[Sample]] = {catalogue.SCOPE: [], catalogue.PUSH_SCOPE: []}
    for sample in samples:
        by_scope[sample.metric.scope].append(sample)
    scopes = [
        ScopeMetrics(
            InstrumentationScope(name, __version__, catalogue.SCHEMA_URL),
            _metrics(of_scope, start_ns, now_ns),
            catalogue.SCHEMA_URL,
        )
        for name, of_scope in by_scope.items()
        if of_scope
    ]
    data = MetricsData([ResourceMetrics(resource, scopes, catalogue.SCHEMA_URL)])
    return encode_metrics(data).SerializeToString()


def _metrics(samples: list[Sample], start_ns: int, now_ns: int) -> list[Metric]:
    ordered = sorted(samples, key=lambda sample: sample.metric.name)
    return [
        _metric(metric, list(points), start_ns, now_ns)
        for metric, points in groupby(ordered, key=lambda sample: sample.metric)
    ]


def _metric(
    metric: catalogue.Metric, samples: Sequence[Sample], start_ns: int, now_ns: int
) -> Metric:
    data: Gauge | Sum | Histogram
    if metric.kind is Kind.HISTOGRAM:
        data = Histogram([_histogram(s, start_ns, now_ns) for s in samples], CUMULATIVE)
    elif metric.kind is Kind.GAUGE:
        data = Gauge([_number(s, start_ns, now_ns) for s in samples])
    else:
        points = [_number(s, start_ns, now_ns) for s in samples]
        data = Sum(points, CUMULATIVE, is_monotonic=metric.kind is Kind.COUNTER)
    return Metric(metric.name, metric.description, metric.unit, data)


def _number(sample: Sample, start_ns: int, now_ns: int) -> NumberDataPoint:
    assert not isinstance(sample.value, Buckets)
    return NumberDataPoint(dict(sample.attributes), start_ns, now_ns, sample.value)


def _histogram(sample: Sample, start_ns: int, now_ns: int) -> HistogramDataPoint:
    buckets = sample.value
    assert isinstance(buckets, Buckets)
    # Minimum and maximum are optional in OTLP, and unknown here; the encoder omits None.
    unknown: Any = None
    exemplars = [
        Exemplar({}, each.value, each.time_ns, each.span_id, each.trace_id)
        for each in buckets.exemplars
    ]
    return HistogramDataPoint(
        dict(sample.attributes), start_ns, now_ns, sum(buckets.counts), buckets.sum,
        buckets.counts, buckets.bounds, min=unknown, max=unknown, exemplars=exemplars,
    )  # fmt: skip
