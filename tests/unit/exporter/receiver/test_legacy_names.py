"""Senders of the older conventions say the same as those of today's."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.points import admit
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from poolscope_exporter.receiver.decode import decode
from support.exporter.otlp_messages import (
    a_histogram,
    a_request,
    a_sum,
    an_exponential_histogram,
)

HIKARI = {"pool.name": "HikariPool-1", "state": "used"}


def the_point(metric: Metric) -> Point:
    [push] = decode(a_request(metric)).pushes
    [point] = push.points
    return point


def test_the_usage_of_the_java_agents_hikari_pool_is_a_count() -> None:
    metric = a_sum("db.client.connections.usage", 3, HIKARI, is_monotonic=False)

    point = admit(the_point(metric))

    assert isinstance(point, Point)
    assert (point.metric, point.kind, point.value) == (
        catalogue.COUNT.name,
        Kind.UP_DOWN_COUNTER,
        3,
    )
    assert point.attributes[catalogue.POOL_NAME] == "HikariPool-1"
    assert point.attributes[catalogue.CONNECTION_STATE] == "used"


def test_older_times_are_milliseconds_and_come_out_as_seconds() -> None:
    metric = a_histogram(
        "db.client.connections.wait_time", [0, 500, 2000], [4, 1, 2, 0], total=1500
    )
    metric.unit = "ms"

    point = admit(the_point(metric))

    assert isinstance(point, Point)
    assert (point.metric, point.unit) == (catalogue.WAIT_TIME.name, "s")
    assert point.value == HistogramValue((0.0, 0.5, 2.0), (4, 1, 2, 0), 1.5)


def test_older_times_of_npgsql_are_seconds_already() -> None:
    metric = an_exponential_histogram("db.client.connections.create_time", {0: 2})

    value = the_point(metric).value

    assert isinstance(value, HistogramValue)
    assert (value.sum, sum(value.counts)) == (1.5, 2)


@pytest.mark.parametrize(
    ("older", "metric"),
    [
        ("usage", catalogue.COUNT),
        ("max", catalogue.MAX),
        ("idle.max", catalogue.IDLE_MAX),
        ("idle.min", catalogue.IDLE_MIN),
        ("pending_requests", catalogue.PENDING_REQUESTS),
        ("timeouts", catalogue.TIMEOUTS),
        ("create_time", catalogue.CREATE_TIME),
        ("wait_time", catalogue.WAIT_TIME),
        ("use_time", catalogue.USE_TIME),
    ],
)
def test_every_older_name_is_read_as_the_name_of_today(
    older: str, metric: catalogue.Metric
) -> None:
    point = the_point(a_sum(f"db.client.connections.{older}", 1, HIKARI))

    assert point.metric == metric.name
    assert point.attributes == {
        catalogue.POOL_NAME: "HikariPool-1",
        catalogue.CONNECTION_STATE: "used",
    }


def test_names_of_today_keep_their_attributes() -> None:
    point = the_point(a_sum(catalogue.TIMEOUTS.name, 1, {"state": "x", "pool.name": "y"}))

    assert point.attributes == {"state": "x", "pool.name": "y"}
