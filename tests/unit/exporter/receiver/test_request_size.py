"""A request is weighed before it is decoded."""

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from poolscope_exporter.receiver.request_size import messages_in
from support.exporter.otlp_messages import (
    a_gauge,
    a_histogram,
    a_request,
    a_sum,
    a_summary,
    an_exponential_histogram,
)


def test_every_message_of_an_ordinary_request_is_counted() -> None:
    body = a_request(a_gauge("m", 1, {"a": 1, "b": "x"}), resource={"r": 1}).SerializeToString()

    # resource metrics, resource, its pair and value, scope metrics, scope, metric, gauge, point,
    # two pairs and their values
    assert messages_in(body) == 9 + 4


@pytest.mark.parametrize(
    "metric",
    [
        a_gauge("m", 1),
        a_sum("m", 1),
        a_histogram("m", [1.0], [1, 1]),
        an_exponential_histogram("m", {0: 1}),
        a_summary("m"),
    ],
)
def test_points_of_every_kind_are_counted(metric: object) -> None:
    request = a_request(metric)  # type: ignore[arg-type]
    one = messages_in(request.SerializeToString())
    kind = request.resource_metrics[0].scope_metrics[0].metrics[0]
    points = getattr(kind, str(kind.WhichOneof("data"))).data_points
    points.extend([points[0]] * 1000)

    assert messages_in(request.SerializeToString()) >= one + 1000


def test_counting_ends_beyond_the_limit() -> None:
    assert messages_in(b"\x0a\x00" * 1000, limit=10) == 11


def test_what_may_nest_without_end_counts_as_the_most_that_it_could_hold() -> None:
    nested = AnyValue(array_value=ArrayValue(values=[AnyValue()] * 1000))
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add().resource
    resource.attributes.append(KeyValue(key="k", value=nested))

    assert messages_in(request.SerializeToString()) >= 1000


@pytest.mark.parametrize("body", [b"\x0b", b"\x0a", b"\x0a\x05a", b"\xff" * 11, b"\x09\x00"])
def test_what_is_no_protobuf_of_ours_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"a (field|number)"):
        messages_in(body)
