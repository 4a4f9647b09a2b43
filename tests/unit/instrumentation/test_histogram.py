from collections import deque

import pytest

from poolscope.recording import histogram
from poolscope.recording.histogram import Histogram


def test_a_value_equal_to_a_bound_is_in_its_bucket() -> None:
    timed = Histogram((0.5, 2.0))
    for value in (0.4, 0.5, 0.6, 2.0, 2.1):
        timed.add(value)
    assert timed.read().counts == (2, 2, 1)
    assert timed.read().sum == 5.6


def test_many_values_at_once_are_counted_like_one_by_one() -> None:
    one_by_one, at_once = Histogram((0.5, 2.0)), Histogram((0.5, 2.0))
    values = [2.1, 0.5, 0.4, 2.0, 0.6, 0.5]
    for value in values:
        one_by_one.add(value)
    at_once.buffer = deque()
    at_once.add_all(values[:4])
    at_once.add_all(values[4:])
    at_once.add_all([])
    assert at_once.read().counts == one_by_one.read().counts == (3, 2, 1)
    assert at_once.read().sum == pytest.approx(one_by_one.read().sum)
    assert sorted(at_once.buffer) == sorted(values)


def test_samples_are_kept_only_while_somebody_takes_them() -> None:
    timed = Histogram((1.0,))
    timed.add(0.1)
    timed.buffer = deque()
    timed.add(0.2)
    assert list(timed.buffer) == [0.2]


def test_samples_beyond_the_buffer_are_counted_as_dropped() -> None:
    timed = Histogram((1.0,))
    timed.buffer = deque([0.0] * histogram.BUFFER_LIMIT)
    timed.add(0.1)
    assert len(timed.buffer) == histogram.BUFFER_LIMIT
    assert timed.dropped == 1
    assert sum(timed.read().counts) == 1


def test_reset_starts_from_zero() -> None:
    timed = Histogram((1.0,))
    timed.add(0.1)
    timed.reset()
    assert timed.read().counts == (0, 0)
    assert timed.read().sum == 0
