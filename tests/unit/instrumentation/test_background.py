"""A thread of ours ends at once when it shall, however long it would have slept."""

import threading

from poolscope.background import StopSignal


def test_a_wait_ends_by_its_time_out_where_nobody_sets_the_signal() -> None:
    signal = StopSignal()
    assert not signal.is_set()
    assert not signal.wait(0.0)
    assert not signal.wait(0.001)


def test_a_thread_that_waits_ends_when_the_signal_is_set() -> None:
    signal, found = StopSignal(), list[bool]()
    thread = threading.Thread(target=lambda: found.append(signal.wait(3600)))
    thread.start()
    signal.set()
    thread.join(60)
    assert found == [True]


def test_a_signal_that_is_set_stays_so_and_may_be_set_again() -> None:
    signal = StopSignal()
    signal.set()
    signal.set()
    assert signal.is_set()
    assert signal.wait(3600)
    assert signal.wait(3600)
