"""Attributes of points are read once and shared, and never taken for those of another point."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint

from poolscope_exporter.receiver.attribute_cache import (
    _number,
    attributes_of_histogram,
    attributes_of_number,
)
from support.exporter.otlp_messages import Attributes, pairs

REASON: Attributes = {"reason": "timeout", "port": 5432, "is": True}
TEXTS = {"reason": "timeout", "port": "5432", "is": "true"}


def a_number(attributes: Attributes = REASON, **fields: float) -> NumberDataPoint:
    return NumberDataPoint(attributes=pairs(attributes), **fields)  # type: ignore[arg-type]


def a_histogram(attributes: Attributes = REASON, **fields: object) -> HistogramDataPoint:
    return HistogramDataPoint(attributes=pairs(attributes), **fields)  # type: ignore[arg-type]


NUMBERS = [
    a_number(),
    a_number(as_int=7),
    a_number(as_int=0, start_time_unix_nano=1, time_unix_nano=2),
    a_number(as_double=0.5, time_unix_nano=2**63),
    a_number(as_double=0.5, flags=1),
]
HISTOGRAMS = [
    a_histogram(),
    a_histogram(count=3, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[0.5]),
    a_histogram(
        start_time_unix_nano=1,
        count=60,
        bucket_counts=[3] * 20,
        explicit_bounds=[float(n) for n in range(19)],
        min=0.1,
        max=5.0,
    ),
    a_histogram(bucket_counts=[1] * 5_000, explicit_bounds=[0.5] * 4_999),
]


@pytest.mark.parametrize("point", NUMBERS)
def test_attributes_of_a_number_are_read_as_texts(point: NumberDataPoint) -> None:
    assert attributes_of_number(point) == TEXTS


@pytest.mark.parametrize("point", HISTOGRAMS)
def test_attributes_of_a_histogram_are_read_as_texts(point: HistogramDataPoint) -> None:
    assert attributes_of_histogram(point) == TEXTS


def test_points_that_differ_in_value_and_time_share_their_attributes() -> None:
    first = a_number(as_int=1, start_time_unix_nano=5, time_unix_nano=6)
    second = a_number(as_int=2, start_time_unix_nano=5, time_unix_nano=7)
    assert attributes_of_number(first) is attributes_of_number(second)
    buckets = [a_histogram(count=n, bucket_counts=[n, 0], explicit_bounds=[0.5]) for n in (1, 2)]
    assert attributes_of_histogram(buckets[0]) is attributes_of_histogram(buckets[1])


def test_points_that_differ_in_attributes_do_not() -> None:
    timeout, error = (a_number({"reason": reason}, as_int=1) for reason in ("timeout", "error"))
    assert attributes_of_number(timeout) == {"reason": "timeout"}
    assert attributes_of_number(error) == {"reason": "error"}


def test_point_without_attributes_has_none() -> None:
    assert attributes_of_number(a_number({}, as_int=1)) == {}
    assert attributes_of_histogram(a_histogram({}, count=1, bucket_counts=[1])) == {}


def test_fields_in_an_order_of_their_own_are_read_all_the_same() -> None:
    values, attributes = NumberDataPoint(as_int=1, time_unix_nano=2), a_number()
    point = NumberDataPoint.FromString(attributes.SerializeToString() + values.SerializeToString())
    assert attributes_of_number(point) == TEXTS


def test_long_attributes_are_read_and_not_remembered() -> None:
    before = _number.cache_info().currsize
    long = {f"attribute.{n}": "x" * 100 for n in range(30)}
    for n in range(5):
        assert attributes_of_number(a_number({**long, "n": str(n)}))["n"] == str(n)
    assert _number.cache_info().currsize == before


def test_shared_attributes_are_one_key_however_they_came_about() -> None:
    number, histogram = attributes_of_number(a_number()), attributes_of_histogram(a_histogram())
    assert number is not histogram
    assert {number: 1}[histogram] == 1
