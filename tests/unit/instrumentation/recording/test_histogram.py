from collections import deque

import pytest

from poolscope.recording import histogram
from poolscope.recording.histogram import Histogram


def test_a_value_equal_to_a_bound_is_in_its_bucket() -> None:
    timed = Histogram((0.5, 2.0))
    for value in (0.4, 0.5, 0.6, 2.0, 2.1):
        timed.count_value(value)
    assert timed.read_counts().counts == (2, 2, 1)
    assert timed.read_counts().sum == 5.6


def test_many_values_at_once_are_counted_like_one_by_one() -> None:
    one_by_one, at_once = Histogram((0.5, 2.0)), Histogram((0.5, 2.0))
    values = [2.1, 0.5, 0.4, 2.0, 0.6, 0.5]
    for value in values:
        one_by_one.count_value(value)
    at_once.buffer = deque()
    at_once.add_all(values[:4])
    at_once.add_all(values[4:])
    at_once.add_all([])
    assert at_once.read_counts().counts == one_by_one.read_counts().counts == (3, 2, 1)
    assert at_once.read_counts().sum == pytest.approx(one_by_one.read_counts().sum)
    assert sorted(at_once.buffer) == sorted(values)


def test_samples_are_kept_only_while_somebody_takes_them() -> None:
    timed = Histogram((1.0,))
    timed.count_value(0.1)
    timed.buffer = deque()
    timed.count_value(0.2)
    assert list(timed.buffer) == [0.2]


def test_samples_beyond_the_buffer_are_counted_as_dropped() -> None:
    timed = Histogram((1.0,))
    timed.buffer = deque([0.0] * histogram.BUFFER_LIMIT)
    timed.count_value(0.1)
    assert len(timed.buffer) == histogram.BUFFER_LIMIT
    assert timed.dropped == 1
    assert sum(timed.read_counts().counts) == 1


def test_reset_starts_from_zero() -> None:
    timed = Histogram((1.0,))
    timed.count_value(0.1)
    timed.clear()
    assert timed.read_counts().counts == (0, 0)
    assert timed.read_counts().sum == 0
