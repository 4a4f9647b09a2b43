"""Exemplars of any sender: read if they name a span, left out if not."""

import math

from google.protobuf import json_format
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as WireExemplar
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope import catalogue
from poolscope_exporter.core.model.exemplars import Exemplar
from poolscope_exporter.core.model.pushes import HistogramValue
from poolscope_exporter.receiver.decode import decode, parse_json
from poolscope_exporter.receiver.exemplars import MAX_READ
from support.exporter.otlp_messages import a_histogram, a_request, an_exponential_histogram

TRACE, SPAN = bytes(range(16)), bytes(range(8))


def on_the_wire(
    value: float = 0.7, trace_id: bytes = TRACE, span_id: bytes = SPAN, time_ns: int = 5
) -> WireExemplar:
    return WireExemplar(as_double=value, trace_id=trace_id, span_id=span_id, time_unix_nano=time_ns)


def a_metric(*exemplars: WireExemplar) -> Metric:
    metric = a_histogram(catalogue.WAIT_TIME.name, [0.5, 1.0], [0, 1, 0])
    metric.histogram.data_points[0].exemplars.extend(exemplars)
    return metric


def exemplars_in(metric: Metric) -> tuple[Exemplar, ...]:
    [push] = decode(a_request(metric)).pushes
    [point] = push.points
    assert isinstance(point.value, HistogramValue)
    return point.value.exemplars


def test_an_exemplar_keeps_its_value_its_time_and_its_span() -> None:
    assert exemplars_in(a_metric(on_the_wire())) == (Exemplar(0.7, 5, TRACE, SPAN),)


def test_a_whole_number_is_a_value_too() -> None:
    whole = WireExemplar(as_int=1, trace_id=TRACE, span_id=SPAN)
    assert exemplars_in(a_metric(whole)) == (Exemplar(1.0, 0, TRACE, SPAN),)


def test_what_names_no_span_or_has_no_value_is_left_out() -> None:
    broken = (
        on_the_wire(trace_id=b""),
        on_the_wire(trace_id=bytes(16)),
        on_the_wire(trace_id=TRACE * 100),
        on_the_wire(span_id=b"x"),
        on_the_wire(math.nan),
        on_the_wire(math.inf),
        WireExemplar(trace_id=TRACE, span_id=SPAN),
    )
    assert exemplars_in(a_metric(*broken)) == ()


def test_many_exemplars_cost_no_more_than_the_buckets() -> None:
    assert len(exemplars_in(a_metric(*[on_the_wire()] * (2 * MAX_READ)))) == 1


def test_a_metric_that_is_not_in_the_catalogue_keeps_none() -> None:
    metric = a_metric(on_the_wire())
    metric.name = "db.client.connection.something_new"
    assert exemplars_in(metric) == ()


def test_an_exponential_histogram_has_exemplars_too() -> None:
    metric = an_exponential_histogram(catalogue.WAIT_TIME.name, {0: 1})
    metric.exponential_histogram.data_points[0].exemplars.append(on_the_wire())
    assert exemplars_in(metric) == (Exemplar(0.7, 5, TRACE, SPAN),)


def test_an_exemplar_of_an_older_unit_is_in_seconds() -> None:
    metric = a_metric(on_the_wire(700.0))
    metric.name, metric.unit = "db.client.connections.wait_time", "ms"
    metric.histogram.data_points[0].explicit_bounds[:] = [500.0, 1000.0]
    [exemplar] = exemplars_in(metric)
    assert exemplar.value == 0.7


def test_a_request_in_json_has_exemplars_too() -> None:
    body = json_format.MessageToJson(a_request(a_metric(on_the_wire()))).encode()
    [push] = decode(parse_json(body)).pushes
    [point] = push.points
    assert isinstance(point.value, HistogramValue)
    assert point.value.exemplars == (Exemplar(0.7, 5, TRACE, SPAN),)
