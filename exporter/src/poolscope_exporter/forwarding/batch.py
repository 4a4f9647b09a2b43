"""Pack received requests into one to forward, without the data meant only for an exporter."""

import gzip
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from poolscope.catalogue import PUSH, PUSH_PUBLISHER, PUSH_SCOPE, Publisher
from poolscope_exporter.forwarding.queue import QueuedRequest
from poolscope_exporter.receiver.decode import parse_json, parse_protobuf
from poolscope_exporter.receiver.translation.translate import translate

_LEVEL = 1
"""The gzip level: most of the size reduction in a fraction of the time."""


class ForwardAs(StrEnum):
    """The kind of recipient: any OTLP backend, or another poolscope exporter."""

    OTLP = "otlp"
    POOLSCOPE = "poolscope"


def pack(requests: Sequence[QueuedRequest], forward_as: ForwardAs) -> bytes | None:
    """Return one gzipped protobuf request of them all, or None if nothing is left of them.

    An OTLP backend receives neither the held checkouts, which have unlimited cardinality, nor
    metrics that the application's own provider already publishes. The pool metrics of other senders
    are translated as on `/metrics`. Metrics that are not about pools pass unchanged.
    """
    whole = ExportMetricsServiceRequest()
    for request in requests:
        parse = parse_json if request.is_json else parse_protobuf
        for resource in parse(request.body).resource_metrics:
            if forward_as is ForwardAs.POOLSCOPE or _prepare(resource):
                whole.resource_metrics.append(resource)
    if not whole.resource_metrics:
        return None
    return gzip.compress(whole.SerializeToString(), _LEVEL)


def _prepare(resource: ResourceMetrics) -> bool:
    """Translate the metrics, and remove data meant only for an exporter; return if any is left."""
    translate(resource, Counter())  # the receiver has counted the points that cannot be converted
    ours = [scope for scope in resource.scope_metrics if scope.scope.name == PUSH_SCOPE]
    metrics = (metric for scope in ours for metric in scope.metrics if metric.name == PUSH.name)
    points = (point for metric in metrics for point in metric.gauge.data_points)
    if any(_is_published_elsewhere(pair) for point in points for pair in point.attributes):
        return False
    for scope in ours:
        resource.scope_metrics.remove(scope)
    return bool(resource.scope_metrics)


def _is_published_elsewhere(pair: KeyValue) -> bool:
    return pair.key == PUSH_PUBLISHER and pair.value.string_value == Publisher.PROVIDER
