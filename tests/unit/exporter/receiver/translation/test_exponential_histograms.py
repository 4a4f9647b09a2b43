"""Exponential histograms come out in our buckets: never told faster than they were."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint

from poolscope import catalogue
from poolscope_exporter.core.model.pushes import HistogramValue
from poolscope_exporter.receiver.translation.exponential_histograms import bounds_of, buckets_of
from support.exporter.otlp_messages import an_exponential_histogram


def the_point(counts: dict[int, int], **options: object) -> ExponentialHistogramDataPoint:
    metric = an_exponential_histogram("m", counts, **options)  # type: ignore[arg-type]
    return metric.exponential_histogram.data_points[0]


@pytest.mark.parametrize(
    ("counts", "scale", "expected"),
    [
        ({-1: 3}, 0, (0, 3, 0, 0)),  # (0.5, 1]: its upper edge is a bound
        ({0: 3}, 0, (0, 0, 3, 0)),  # (1, 2]
        ({-1: 1, 0: 2, 1: 4, 2: 8}, 0, (0, 1, 2, 12)),  # (2, 4] and (4, 8] end beyond the last
        ({-2: 3}, 0, (3, 0, 0, 0)),  # (0.25, 0.5]
        ({-10: 2}, 0, (2, 0, 0, 0)),
        ({-4: 1, -3: 1}, 2, (0, 2, 0, 0)),  # (0.5, 0.59] and (0.59, 0.71], of four to the octave
        ({1023: 1}, 0, (0, 0, 0, 1)),  # its upper edge is beyond every double
    ],
)
def test_what_a_bucket_holds_goes_to_the_first_bound_that_is_not_below_its_upper_edge(
    counts: dict[int, int], scale: int, expected: tuple[int, ...]
) -> None:
    point = the_point(counts, scale=scale)

    assert buckets_of(point, (0.5, 1.0, 2.0)) == HistogramValue((0.5, 1.0, 2.0), expected, 1.5)


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, (4, 0)), (0.5, (4, 0)), (0.6, (0, 4))])
def test_zeros_go_to_the_first_bound_that_is_not_below_their_threshold(
    threshold: float, expected: tuple[int, ...]
) -> None:
    found = buckets_of(the_point({}, zeros=4, zero_threshold=threshold), (0.5,))

    assert found == HistogramValue((0.5,), expected, 1.5)


def test_milliseconds_come_out_as_seconds() -> None:
    found = buckets_of(the_point({9: 2}, total=1500.0), (0.5, 2.0), per_second=1000)  # (512, 1024]

    assert found == HistogramValue((0.5, 2.0), (0, 2, 0), 1.5)


def test_a_sum_that_is_left_out_is_unknown() -> None:
    found = buckets_of(the_point({0: 1}, total=None), (0.5,))

    assert found
    assert math.isnan(found.sum)


def test_each_metric_is_published_with_its_own_bounds() -> None:
    assert bounds_of(catalogue.USE_TIME.name) == catalogue.USE_BOUNDS
    assert bounds_of("db.client.connection.novel") == catalogue.WAIT_BOUNDS


@given(st.lists(st.floats(1e-6, 500), min_size=1, max_size=50), st.integers(-2, 8))
def test_what_is_told_to_be_at_most_a_bound_is_so_and_nothing_is_lost(
    durations: list[float], scale: int
) -> None:
    counts: dict[int, int] = {}
    for duration in durations:
        index = math.ceil(math.log2(duration) * 2.0**scale) - 1
        counts[index] = counts.get(index, 0) + 1
    if max(counts) - min([0, *counts]) >= 1024:
        return
    bounds = catalogue.WAIT_BOUNDS

    found = buckets_of(the_point(counts, scale=scale), bounds)

    assert found
    assert sum(found.counts) == len(durations)
    width = 2 ** (2.0**-scale)
    for position, bound in enumerate(bounds):
        told = sum(found.counts[: position + 1])
        assert told <= sum(duration <= bound * (1 + 1e-9) for duration in durations)
        assert told >= sum(duration * width <= bound * (1 - 1e-9) for duration in durations)
