"""Decode OTLP metric requests into pushes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics

from poolscope.catalogue import (
    CONTAINER_ID,
    HOST_NAME,
    K8S_NAMESPACE_NAME,
    K8S_POD_NAME,
    PROCESS_PID,
    PUSH_SCOPE,
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
)
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Point, Push
from poolscope_exporter.receiver import request_size
from poolscope_exporter.receiver.attributes import as_text, read_attributes
from poolscope_exporter.receiver.points import count_of, points_of
from poolscope_exporter.receiver.poolscope_push import read_push_scope
from poolscope_exporter.receiver.refusals import DecodeRefusal
from poolscope_exporter.receiver.translation.table import is_about_pools
from poolscope_exporter.receiver.translation.translate import translate

_WHERE = (K8S_NAMESPACE_NAME, K8S_POD_NAME, "k8s.container.name", CONTAINER_ID, HOST_NAME)
"""Attributes that name where a process runs, in the order in which they form its name."""

MAX_POINTS = 100_000
MAX_RESOURCES = 1_000
"""Resources of one request; a Collector in front of a large fleet sends some hundreds."""

MAX_UNCHECKED_BYTES = 64 * 1024
"""A body of at most this many bytes cannot hold too many messages, so it is not checked."""


class TooManyMessagesError(Exception):
    """A request would need far more room in memory than on the wire."""


class MalformedPushError(Exception):
    """A request is not an OTLP metrics request; the message gives the reason in one sentence."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pushes of one request, and the numbers of its refused points by reason.

    `ignored` counts the points of metrics that are not about pools: nobody asked for them.
    """

    pushes: tuple[Push, ...]
    refused: Mapping[str, int]
    ignored: int = 0


def parse_protobuf(body: bytes) -> ExportMetricsServiceRequest:
    """Return the request; raises MalformedPushError and TooManyMessagesError."""
    request = ExportMetricsServiceRequest()
    try:
        if (
            len(body) > MAX_UNCHECKED_BYTES
            and request_size.messages_in(body) > request_size.MAX_MESSAGES
        ):
            raise TooManyMessagesError
        request.ParseFromString(body)
    except (DecodeError, ValueError) as exc:
        raise MalformedPushError(
            "the body is not an OTLP ExportMetricsServiceRequest in protobuf"
        ) from exc
    return request


def parse_json(body: bytes) -> ExportMetricsServiceRequest:
    """Return the request; unknown fields are ignored.

    Raises MalformedPushError and TooManyMessagesError.
    """
    request = ExportMetricsServiceRequest()
    error = MalformedPushError("the body is not an OTLP ExportMetricsServiceRequest in JSON")
    if not body.lstrip().startswith(b"{"):
        raise error
    if request_size.has_too_many_json_tokens(body):
        raise TooManyMessagesError
    try:
        # RecursionError: json.loads gives up on deep nesting before protobuf's own limit.
        json_format.Parse(body, request, ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError) as exc:
        raise error from exc
    return request


def decode(request: ExportMetricsServiceRequest) -> Decoded:
    """Return one push per resource of the request, translated in place; never raises.

    A process without any metric of a pool has no push: it would take the place of others.
    """
    refused: Counter[str] = Counter()
    resources = request.resource_metrics
    for metrics in resources[MAX_RESOURCES:]:
        refused[DecodeRefusal.TOO_MANY_RESOURCES] += max(1, _count(metrics))
    room, ignored = MAX_POINTS, 0
    pushes = []
    for metrics in resources[:MAX_RESOURCES]:
        of_push: Counter[str] = Counter()
        ignored_here = translate(metrics, of_push) + _ignored(metrics)
        ignored += ignored_here
        push = _push(metrics, room, of_push)
        room -= len(push.points)
        refused.update(of_push)
        if of_push:
            push = replace(push, unread=of_push)
        if not ignored_here or _has_data(push):
            pushes.append(push)
    return Decoded(tuple(pushes), refused, ignored)


def _push(metrics: ResourceMetrics, room: int, refused: Counter[str]) -> Push:
    resource = {
        name: as_text(value) for name, value in read_attributes(metrics.resource.attributes).items()
    }
    instance = instance_of(resource)
    own = [
        metric
        for scope in metrics.scope_metrics
        if scope.scope.name == PUSH_SCOPE
        for metric in scope.metrics
    ]
    scope_content = read_push_scope(instance, own, refused)
    points = tuple(_points(metrics, room, refused, has_time=scope_content is None))
    push = Push(instance, resource, points)
    if scope_content is None:
        return push
    return replace(
        push,
        sequence=scope_content.sequence,
        interval_s=scope_content.interval_s,
        is_end=scope_content.is_end,
        is_pressed=scope_content.is_pressed,
        is_partial=scope_content.is_partial,
        wire_version=scope_content.wire_version,
        publisher=scope_content.publisher,
        held=scope_content.held,
        waiters=scope_content.waiters,
        backend_pids=scope_content.backend_pids,
        ended=scope_content.ended,
        generations=scope_content.generations,
        pools_made=scope_content.pools_made,
        stalls=scope_content.stalls,
        inherited=scope_content.inherited,
        occupancy=scope_content.occupancy,
        timeout_reports=scope_content.timeout_reports,
    )


def _points(
    metrics: ResourceMetrics, room: int, refused: Counter[str], *, has_time: bool
) -> Iterator[Point]:
    count = 0
    for scope in metrics.scope_metrics:
        if scope.scope.name == PUSH_SCOPE:
            continue
        for metric in filter(_is_about_pools, scope.metrics):
            for point in points_of(metric, refused, has_time=has_time):
                count += 1
                if count <= room:
                    yield point
                else:
                    refused[DecodeRefusal.TOO_MANY_POINTS] += 1


def _has_data(push: Push) -> bool:
    return push.sequence is not None or bool(push.points) or bool(push.unread)


def _is_about_pools(metric: Metric) -> bool:
    return is_about_pools(metric.name)


def _ignored(metrics: ResourceMetrics) -> int:
    """Return the number of points of metrics that are not about pools."""
    scopes = (scope for scope in metrics.scope_metrics if scope.scope.name != PUSH_SCOPE)
    given = (metric for scope in scopes for metric in scope.metrics)
    return sum(count_of(metric) for metric in given if not _is_about_pools(metric))


def _count(metrics: ResourceMetrics) -> int:
    return sum(count_of(metric) for scope in metrics.scope_metrics for metric in scope.metrics)


def instance_of(resource: Mapping[str, str]) -> Instance:
    """Return the instance that a resource describes.

    Without `service.instance.id`, its id is built from the resource's attributes of the place and
    the pid. This id stays the same while the process runs. Two processes without any different
    attribute get the same id. Then `core/fleet/series.py` refuses the points that one process
    pushes into the series of the other.
    """
    return Instance(
        namespace=resource.get(SERVICE_NAMESPACE, ""),
        name=resource.get(SERVICE_NAME) or "unknown_service",
        id=resource.get(SERVICE_INSTANCE_ID) or _place(resource),
    )


def _place(resource: Mapping[str, str]) -> str:
    found = [resource.get(name, "") for name in (*_WHERE, PROCESS_PID)]
    return "/".join(dict.fromkeys(filter(None, found)))
