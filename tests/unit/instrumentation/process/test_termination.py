"""The handler of SIGTERM: only where nobody has one, and never in the way of the end."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from poolscope.process.termination import WAITS_IN_C, Termination


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for driver in WAITS_IN_C:
        monkeypatch.delitem(sys.modules, driver, raising=False)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def handler() -> Any:
    return signal.getsignal(signal.SIGTERM)


def test_the_handler_is_there_until_the_end() -> None:
    termination = Termination(lambda: None)
    termination.handle_signal()
    assert callable(handler())
    termination.stop()
    assert handler() is signal.SIG_DFL


def test_a_handler_of_the_application_stays() -> None:
    def own(*_: object) -> None:
        """End the application."""

    signal.signal(signal.SIGTERM, own)
    termination = Termination(lambda: None)
    termination.handle_signal()
    assert handler() is own
    termination.stop()
    assert handler() is own


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Termination(lambda: None).handle_signal()
    assert handler() is signal.SIG_IGN


def test_another_thread_changes_nothing() -> None:
    thread = threading.Thread(target=Termination(lambda: None).handle_signal)
    thread.start()
    thread.join()
    assert handler() is signal.SIG_DFL


@pytest.mark.parametrize("driver", WAITS_IN_C)
def test_a_driver_that_waits_in_c_has_no_handler_in_its_way(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    termination = Termination(lambda: None)
    termination.handle_signal()
    monkeypatch.setitem(sys.modules, driver, None)
    termination.handle_signal()
    assert handler() is signal.SIG_DFL


ENDING = """
import os, signal, sys, threading
from poolscope.process.termination import Termination

def say():
    sys.stdout.write("said")
    sys.stdout.flush()
    {then}

Termination(say).handle_signal()
with threading._active_limbo_lock:  # which each start of a thread needs
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(60)
"""


@pytest.mark.parametrize("then", ["pass", "raise OSError", "threading.Event().wait(60)"])
def test_the_process_ends_as_by_the_signal_whatever_the_good_bye_does(then: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING.format(then=then)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "said")
