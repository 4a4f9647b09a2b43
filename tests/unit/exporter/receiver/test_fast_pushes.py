"""Processes under pressure push faster, but never all of them more than the exporter can take."""

import pytest

from poolscope.catalogue import FASTEST_PUSH_S
from poolscope_exporter.receiver.fast_pushes import (
    LEAST_FAST_PUSHES,
    MOST_FAST_PUSHES,
    PRESSED_FOR_S,
    FastPushes,
)
from support.exporter.builders import a_push, an_instance

MAX_INSTANCES = 1_250


def pressed(count: int, at_s: float = 100.0) -> FastPushes:
    fast = FastPushes(MAX_INSTANCES)
    for number in range(count):
        fast.record_pressure(a_push(instance=an_instance(f"{number}"), is_pressed=True), at_s)
    return fast


@pytest.mark.parametrize(
    ("count", "interval_s"),
    [(0, FASTEST_PUSH_S), (1, FASTEST_PUSH_S), (200, 1.0), (201, 1.005), (1000, 5.0)],
)
def test_the_interval_grows_with_the_processes_under_pressure(
    count: int, interval_s: float
) -> None:
    assert pressed(count).allowed_interval_s(100.0) == pytest.approx(interval_s)
    pushes_per_s = count / pressed(count).allowed_interval_s(100.0)
    assert pushes_per_s <= MOST_FAST_PUSHES * 1.000_001


def test_a_process_that_is_calm_again_or_ended_no_longer_counts() -> None:
    fast = pressed(400)
    fast.record_pressure(a_push(instance=an_instance("0")), 101.0)
    fast.record_pressure(a_push(instance=an_instance("1"), is_pressed=True, is_end=True), 101.0)
    assert fast.allowed_interval_s(101.0) == pytest.approx(398 / MOST_FAST_PUSHES)


@pytest.mark.parametrize(("silent_s", "interval_s"), [(PRESSED_FOR_S, 2.0), (15.01, 1.0)])
def test_a_process_that_falls_silent_no_longer_counts(silent_s: float, interval_s: float) -> None:
    assert pressed(400).allowed_interval_s(100.0 + silent_s) == pytest.approx(interval_s)


def test_a_process_counts_once_however_often_it_pushes() -> None:
    fast = pressed(400)
    for at_s in (101.0, 114.0):
        fast.record_pressure(a_push(instance=an_instance("0"), is_pressed=True), at_s)
    assert fast.allowed_interval_s(114.0) == pytest.approx(2.0)
    assert fast.allowed_interval_s(116.0) == FASTEST_PUSH_S


@pytest.mark.parametrize("count", [MAX_INSTANCES, MAX_INSTANCES + 1, 10 * MAX_INSTANCES])
def test_no_more_processes_count_than_the_exporter_takes(count: int) -> None:
    interval_s = pressed(count).allowed_interval_s(100.0)
    assert interval_s == pytest.approx(MAX_INSTANCES / MOST_FAST_PUSHES)


def test_beyond_the_bound_the_processes_that_pushed_last_count() -> None:
    fast = pressed(MAX_INSTANCES)
    for number in range(400):
        fast.record_pressure(a_push(instance=an_instance(f"new-{number}"), is_pressed=True), 114.0)
    assert fast.allowed_interval_s(115.0) == pytest.approx(MAX_INSTANCES / MOST_FAST_PUSHES)
    assert fast.allowed_interval_s(116.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("calm_per_s", "count", "interval_s"),
    [
        (0, 200, 1.0),
        (20, 200, 1.0),
        (160, 60, 1.0),
        (160, 200, 200 / 60),
        (300, 200, 200 / LEAST_FAST_PUSHES),
        (300, 10, 1.0),
    ],
)
def test_what_calm_processes_push_leaves_less_room_for_the_others(
    calm_per_s: int, count: int, interval_s: float
) -> None:
    fast = pressed(count, 110.0)
    for number in range(calm_per_s * 5 + 1):
        fast.record_pressure(
            a_push(instance=an_instance("calm")), 105.0 + number / max(1, calm_per_s)
        )
    assert fast.allowed_interval_s(110.0) == pytest.approx(interval_s)


def test_what_calm_processes_pushed_before_they_came_under_pressure_is_forgotten() -> None:
    fast = FastPushes(MAX_INSTANCES)
    for number in range(1001):
        fast.record_pressure(a_push(instance=an_instance("calm")), 100.0 + number / 200)
    for number in range(1000):
        fast.record_pressure(a_push(instance=an_instance(f"{number}"), is_pressed=True), 105.0)
    assert fast.allowed_interval_s(105.0) == pytest.approx(1000 / LEAST_FAST_PUSHES)
    assert fast.allowed_interval_s(110.0) == pytest.approx(5.0, rel=0.01)
