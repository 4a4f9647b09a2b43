"""Run a daemon thread that starts at the first use of a pool, and again in a forked child."""

import threading
from collections.abc import Callable
from contextlib import suppress


class StopSignal:
    """A signal that ends one thread; a wait takes a quarter less CPU than one for an `Event`.

    An `Event` makes a lock for each wait, and nearly all waits of poolscope end by their time-out.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wake = threading.Lock()
        self._wake.acquire()

    def is_set(self) -> bool:
        """Return whether the signal was set; it stays set."""
        return self._is_set

    def set(self) -> None:
        """End the thread; a second call has no effect."""
        self._is_set = True
        with suppress(RuntimeError):  # an earlier call has released the lock already
            self._wake.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the signal is set, at most `timeout_s`; return whether it is. For one thread.

        The lock stays acquired, so that each wait lasts. After the end, only the flag counts.
        """
        if not self._is_set:
            self._wake.acquire(timeout=timeout_s)
        return self._is_set


class BackgroundThread:
    """A daemon thread that runs `run` until it returns; a forked child makes a new one."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def is_alive(self) -> bool:
        """Return whether the thread was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread unless it was started; never waits for a lock, because hooks call it.

        Raises RuntimeError if the operating system has no room for another thread.
        """
        if self._thread is not None or not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
        finally:
            self._starting.release()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread, for `timeout_s` seconds at most."""
        if self._thread is not None:
            self._thread.join(timeout_s)
