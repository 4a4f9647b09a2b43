"""Batches: an OTLP backend gets nothing that is for an exporter alone."""

import gzip

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric

from poolscope import catalogue
from poolscope_exporter.forwarding.batch import ForwardAs, pack
from poolscope_exporter.forwarding.queue import QueuedRequest
from poolscope_exporter.receiver.decode import decode
from support.exporter.otlp_messages import a_gauge, a_histogram, a_marker, a_request, a_sum

BY_PROVIDER = a_marker(1, **{catalogue.PUSH_PUBLISHER: "provider"})


def packed(
    *requests: ExportMetricsServiceRequest, forward_as: ForwardAs = ForwardAs.OTLP
) -> ExportMetricsServiceRequest | None:
    queued = [QueuedRequest(request.SerializeToString(), False, 0.0) for request in requests]
    body = pack(queued, forward_as)
    return ExportMetricsServiceRequest.FromString(gzip.decompress(body)) if body else None


def scopes(request: ExportMetricsServiceRequest | None) -> list[list[str]]:
    assert request is not None
    return [[s.scope.name for s in r.scope_metrics] for r in request.resource_metrics]


def test_a_backend_gets_metrics_without_the_held_checkouts() -> None:
    sent = packed(a_request(a_gauge("m", 1), push=(a_marker(),)), a_request(a_gauge("n", 2)))

    assert scopes(sent) == [[catalogue.SCOPE], [catalogue.SCOPE]]


def test_a_backend_does_not_get_what_a_provider_publishes() -> None:
    by_provider = a_request(a_gauge("m", 1), push=(BY_PROVIDER,))

    assert packed(by_provider) is None
    assert len(scopes(packed(by_provider, a_request(a_gauge("m", 1))))) == 1


def test_a_backend_gets_the_exemplars() -> None:
    metric = a_histogram(catalogue.WAIT_TIME.name, [0.5], [0, 1])
    exemplar = Exemplar(as_double=0.7, trace_id=bytes(range(16)), span_id=bytes(range(8)))
    metric.histogram.data_points[0].exemplars.append(exemplar)
    request = a_request(metric)

    assert packed(request) == request


def test_another_exporter_gets_everything() -> None:
    request = a_request(a_gauge("m", 1), push=(BY_PROVIDER,))

    assert packed(request, forward_as=ForwardAs.POOLSCOPE) == request


def test_json_leaves_as_protobuf() -> None:
    request = a_request(a_gauge("m", 1))
    body = json_format.MessageToJson(request).encode()

    packed_body = pack([QueuedRequest(body, True, 0.0)], ForwardAs.OTLP)

    assert packed_body is not None
    assert gzip.decompress(packed_body) == request.SerializeToString()


def a_milliseconds(name: str) -> Metric:
    metric = a_histogram(name, [1000], [1, 2])
    metric.unit = "milliseconds"
    return metric


FOREIGN = (
    a_sum(
        "db.client.connections.usage", 3, {"pool.name": "a", "state": "used"}, unit="connections"
    ),
    a_sum("db.client.connection.limit", 5, {"pool.name": "a"}, unit="{connection}"),
    a_gauge("hikaricp.connections.pending", 2.0, {"pool": "b"}),
    a_gauge("db.sql.connection.open", 1, {"status": "inuse"}),
    a_milliseconds("hikaricp.connections.acquire"),
)


def test_a_backend_gets_the_names_and_labels_of_the_metrics_page() -> None:
    request = a_request(*FOREIGN)
    [push] = decode(a_request(*FOREIGN)).pushes

    sent = packed(request)

    assert sent is not None
    [again] = decode(sent).pushes
    assert again.points == push.points
    assert _names(sent) == {point.metric for point in push.points}


def test_metrics_that_are_not_about_pools_pass_unchanged() -> None:
    assert _names(packed(a_request(a_gauge("jvm.memory.used", 1, unit="By")))) == {
        "jvm.memory.used"
    }


def test_another_exporter_translates_for_itself() -> None:
    request = a_request(*FOREIGN)

    assert packed(request, forward_as=ForwardAs.POOLSCOPE) == request


def _names(request: ExportMetricsServiceRequest | None) -> set[str]:
    assert request is not None
    return {
        metric.name
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
