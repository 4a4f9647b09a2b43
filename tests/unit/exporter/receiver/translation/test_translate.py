"""Other names, attributes and units are read as those of the wire catalogue."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from poolscope import catalogue
from poolscope.catalogue import Kind
from poolscope_exporter.core.admission.points import Refusal, admit
from poolscope_exporter.core.model.pushes import HistogramValue, Point
from poolscope_exporter.receiver.decode import decode
from poolscope_exporter.receiver.translation.table import KNOWN, TRANSLATIONS, UNUSED
from support.exporter.otlp_messages import (
    a_gauge,
    a_histogram,
    a_request,
    a_sum,
    an_exponential_histogram,
)

HIKARI = {"pool.name": "HikariPool-1", "state": "used"}
NEW_HIKARI = {catalogue.POOL_NAME: "HikariPool-1", catalogue.CONNECTION_STATE: "used"}


def the_point(metric: Metric) -> Point:
    [push] = decode(a_request(metric)).pushes
    [point] = push.points
    return point


def admitted(metric: Metric) -> Point:
    point = admit(the_point(metric))
    assert isinstance(point, Point)
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


def test_new_name_with_old_attributes_is_read_attribute_by_attribute() -> None:
    # The Java agent 2.11 with OTEL_SEMCONV_STABILITY_OPT_IN=database sends this.
    metric = a_sum(catalogue.COUNT.name, 3, HIKARI, is_monotonic=False, unit="{connection}")

    assert the_point(metric).attributes == NEW_HIKARI


def test_old_name_with_new_attributes_is_read_too() -> None:
    metric = a_sum("db.client.connections.usage", 3, NEW_HIKARI, is_monotonic=False)

    assert the_point(metric).attributes == NEW_HIKARI


def test_newer_attribute_counts_if_a_point_has_both() -> None:
    metric = a_gauge(catalogue.MAX.name, 3, {"pool.name": "old", catalogue.POOL_NAME: "new"})

    assert the_point(metric).attributes[catalogue.POOL_NAME] == "new"


def test_limit_of_the_newest_conventions_is_the_maximum() -> None:
    metric = a_sum("db.client.connection.limit", 5, unit="{connection}", is_monotonic=False)

    point = admitted(metric)

    assert (point.metric, point.value) == (catalogue.MAX.name, 5)


@pytest.mark.parametrize("unit", ["connections", "connection", "Connections", "{any}", "1", ""])
def test_every_unit_of_a_number_of_things_is_read(unit: str) -> None:
    # Python's instrumentation of SQLAlchemy writes `connections`.
    metric = a_sum("db.client.connections.usage", 3, HIKARI, is_monotonic=False, unit=unit)

    assert admitted(metric).unit == "{connection}"


@pytest.mark.parametrize("unit", ["By", "s", "%"])
def test_number_of_connections_in_another_unit_is_refused(unit: str) -> None:
    metric = a_sum("db.client.connections.usage", 3, HIKARI, is_monotonic=False, unit=unit)

    assert admit(the_point(metric)) is Refusal.WRONG_UNIT


@pytest.mark.parametrize(
    ("unit", "bound"),
    [("s", 1000.0), ("ms", 1.0), ("milliseconds", 1.0), ("us", 0.001), ("nanoseconds", 1e-6)],
)
def test_every_unit_of_time_becomes_seconds(unit: str, bound: float) -> None:
    metric = a_histogram("db.client.connections.use_time", [1000], [1, 0])
    metric.unit = unit

    value = admitted(metric).value

    assert isinstance(value, HistogramValue)
    assert list(value.bounds) == [pytest.approx(bound)]


def test_exponential_milliseconds_become_explicit_seconds() -> None:
    metric = an_exponential_histogram(
        "db.client.connections.wait_time", {9: 2}, total=1500, unit="ms"
    )

    value = admitted(metric).value

    assert isinstance(value, HistogramValue)
    assert (value.bounds, value.sum) == (catalogue.WAIT_TIME.bounds, 1.5)
    assert dict(zip(value.bounds, value.counts, strict=False))[2.0] == 2  # 2 ** 10 ms = 1.024 s


@pytest.mark.parametrize("value", [0, -1, 2**31 - 1])
def test_maximum_that_means_no_limit_is_left_out(value: int) -> None:
    assert (
        decode(a_request(a_gauge("db.sql.connection.max_open", value, {}))).pushes[0].points == ()
    )


MICROMETER = {"pool": "orders", "application": "shop"}


@pytest.mark.parametrize(
    ("given", "metric", "state"),
    [
        (a_gauge("hikaricp.connections.active", 5.0, MICROMETER), catalogue.COUNT, "used"),
        (a_gauge("hikaricp.connections.idle", 5.0, MICROMETER), catalogue.COUNT, "idle"),
        (a_gauge("hikaricp.connections.max", 5.0, MICROMETER), catalogue.MAX, None),
        (a_gauge("hikaricp.connections.min", 5.0, MICROMETER), catalogue.IDLE_MIN, None),
        (
            a_gauge("hikaricp.connections.pending", 5.0, MICROMETER),
            catalogue.PENDING_REQUESTS,
            None,
        ),
        (a_sum("hikaricp.connections.timeout", 5, MICROMETER), catalogue.TIMEOUTS, None),
        (a_gauge("db.sql.connection.open", 5, {"status": "inuse"}), catalogue.COUNT, "used"),
        (a_gauge("db.sql.connection.open", 5, {"status": "idle"}), catalogue.COUNT, "idle"),
        (a_gauge("db.sql.connection.max_open", 5, {}), catalogue.MAX, None),
        (a_sum("pgxpool.acquired_connections", 5, is_monotonic=False), catalogue.COUNT, "used"),
        (a_sum("pgxpool.idle_connections", 5, is_monotonic=False), catalogue.COUNT, "idle"),
        (a_gauge("pgxpool.max_connections", 5), catalogue.MAX, None),
        (a_sum("pgxpool.acquires", 5), catalogue.CHECKOUTS, None),
    ],
)
def test_names_outside_the_conventions_are_read(
    given: Metric, metric: catalogue.Metric, state: str | None
) -> None:
    point = admitted(given)

    assert (point.metric, point.kind, point.value) == (metric.name, metric.kind, 5)
    assert point.attributes.get(catalogue.CONNECTION_STATE) == state
    assert point.attributes[catalogue.POOL_NAME] in ("orders", "database/sql")


def test_series_under_two_names_is_read_once_under_the_newer() -> None:
    # The Java agent with OTEL_SEMCONV_STABILITY_OPT_IN=database/dup sends both.
    old = a_sum("db.client.connections.usage", 2, HIKARI, is_monotonic=False)
    new = a_sum(catalogue.COUNT.name, 3, NEW_HIKARI, is_monotonic=False)

    decoded = decode(a_request(old, new))

    assert [point.value for point in decoded.pushes[0].points] == [3]
    assert (decoded.refused, decoded.ignored) == ({}, 1)


def test_two_libraries_of_one_process_are_both_read() -> None:
    sql = a_gauge("db.sql.connection.open", 1, {"status": "inuse"})
    pgx = a_sum("pgxpool.acquired_connections", 2, {catalogue.POOL_NAME: "a"}, is_monotonic=False)

    [push] = decode(a_request(sql, pgx)).pushes

    assert [point.value for point in push.points] == [1, 2]


def test_hostile_attributes_change_nothing_of_their_pool() -> None:
    metric = a_sum("db.client.connections.usage", 1, {"state": 7, "pool.name": True, "pool": "x"})

    assert the_point(metric).attributes == {
        catalogue.CONNECTION_STATE: "7",
        catalogue.POOL_NAME: "true",
        "pool": "x",
    }


@pytest.mark.parametrize("name", [*TRANSLATIONS, *UNUSED])
def test_each_row_of_the_table_is_for_one_name(name: str) -> None:
    assert (name in TRANSLATIONS) != (name in UNUSED)
    assert name not in KNOWN
