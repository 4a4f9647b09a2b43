"""What concerns all pools of a process: its event loops over the window, and its threads."""

import pytest

from poolscope import catalogue
from poolscope_exporter.core.fleet.growth import WINDOW_S
from poolscope_exporter.core.fleet.process_numbers import (
    StallHistory,
    ThreadNumbers,
    thread_numbers,
)
from poolscope_exporter.core.model.pushes import LoopStall
from support.exporter.builders import a_point


def test_a_process_whose_loops_ran_has_no_numbers_of_them() -> None:
    history = StallHistory()
    history.record_stalls([], 1.0)
    assert history.loop_numbers() is None


def test_stalls_that_ended_add_up_and_one_that_goes_on_counts_as_far_as_it_is() -> None:
    history = StallHistory()
    history.record_stalls([LoopStall(2.0, is_over=True, blocked_s=2.6)], 1.0)
    history.record_stalls([LoopStall(1.5, is_over=False)], 2.0)
    numbers = history.loop_numbers()
    assert numbers is not None
    assert numbers.blocked_s == pytest.approx(4.1)
    assert numbers.longest.lasted_s == 2.0
    assert numbers.current == LoopStall(1.5, is_over=False)
    assert numbers.seen_at_s == 2.0


def test_a_stall_that_went_on_is_not_counted_twice_when_it_ends() -> None:
    history = StallHistory()
    history.record_stalls([LoopStall(1.5, is_over=False)], 1.0)
    history.record_stalls([LoopStall(3.0, is_over=True, blocked_s=3.0)], 2.0)
    numbers = history.loop_numbers()
    assert numbers is not None
    assert numbers.blocked_s == pytest.approx(3.0)
    assert numbers.current is None


def test_no_loop_stood_still_for_longer_than_the_window() -> None:
    history = StallHistory()
    history.record_stalls([LoopStall(20.0, is_over=True, blocked_s=20.0)], 20.0)
    history.record_stalls([LoopStall(16.0, is_over=False)], 36.0)
    numbers = history.loop_numbers()
    assert numbers is not None
    assert numbers.blocked_s == WINDOW_S


def test_the_window_forgets_a_stall_after_half_a_minute() -> None:
    history = StallHistory()
    history.record_stalls([LoopStall(2.0, is_over=True, blocked_s=2.0)], 1.0)
    history.record_stalls([], 31.0)
    assert history.loop_numbers() is not None
    history.record_stalls([], 31.1)
    assert history.loop_numbers() is None


def test_threads_are_unknown_unless_the_process_reports_them() -> None:
    assert thread_numbers([]) is None
    used, most = (
        a_point(catalogue.WORKER_THREADS, 40.0),
        a_point(catalogue.WORKER_THREADS_MAX, 40.0),
    )
    waiting = a_point(catalogue.WORKER_THREADS_PENDING, 61.0)
    assert thread_numbers([used, most, waiting]) == ThreadNumbers(40, 40, 61)
    assert thread_numbers([used]) == ThreadNumbers(40, None, 0)
