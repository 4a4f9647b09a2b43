"""Processes under pressure push faster, but never all of them more than the exporter can take."""

import pytest

from poolscope.catalogue import FASTEST_PUSH_S
from poolscope_exporter.receiver.fast_pushes import MOST_FAST_PUSHES, PRESSED_FOR_S, FastPushes
from support.exporter.builders import a_push, an_instance


def pressed(count: int, at_s: float = 100.0) -> FastPushes:
    fast = FastPushes()
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
