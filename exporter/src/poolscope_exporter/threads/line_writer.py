"""Write lines to standard output or error from a thread, so that a slow reader blocks nothing."""

import os
import select
import threading
import time
from collections import deque
from typing import Final

MAX_WAITING_BYTES: Final = 1024 * 1024
"""The largest number of bytes that wait for a reader; further lines are dropped and counted."""

END_S: Final = 1.0
"""The time for which the end of the program waits for unwritten lines."""

_PATIENCE_S: Final = 0.2


class LineWriter:
    """A stream that never blocks and never fails; `lost` counts dropped texts.

    It writes directly to the descriptor. A buffered stream is flushed at exit, which would wait for
    a thread that is blocked in it.
    """

    def __init__(self, descriptor: int) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Queue text for writing, or drop it if the queue is full."""
        encoded = text.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._size + len(encoded) > MAX_WAITING_BYTES or not self._is_running():
                self.lost += 1
            elif encoded:
                self._waiting.append(encoded)
                self._size += len(encoded)
                self._lock.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread writes at once."""

    def drain(self, within_s: float = END_S) -> None:
        """Wait until all is written, for at most `within_s` seconds."""
        with self._lock:
            self._lock.wait_for(lambda: not self._size, within_s)

    def _is_running(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="poolscope-output", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system permits no further thread
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._waiting)
                text = self._waiting.popleft()
            is_written = self._write_all(text)
            with self._lock:
                self._size -= len(text)
                self.lost += not is_written
                self._lock.notify_all()

    def _write_all(self, text: bytes) -> bool:
        """Write all bytes, however long the reader takes.

        Return False if they cannot be written.
        """
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                self._wait_for_room()
            except OSError:
                return False
        return True

    def _wait_for_room(self) -> None:
        try:
            select.select((), (self._descriptor,), (), _PATIENCE_S)
        except (OSError, ValueError):  # a descriptor that select cannot watch
            time.sleep(_PATIENCE_S)
