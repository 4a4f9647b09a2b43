"""Send the last push when SIGTERM ends a process without a handler, such as a plain script."""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

WAITS_IN_C: Final = ("MySQLdb", "cx_Oracle", "oracledb", "psycopg2", "pymssql", "pyodbc")
"""Drivers that wait for their server in C code, where no handler of Python can run.

If the main thread waits there, for example for a lock, a handler would delay the end of the
process until the server answers. So a process with such a driver has no handler.
"""

LAST_PUSH_S: Final = 1.5
"""Longest delay of the end of the process; the last push takes a second at most."""


class Termination:
    """The handler of SIGTERM in a process that would have none."""

    def __init__(self, send_last_push: Callable[[], object]) -> None:
        self._send_last_push = send_last_push

    def handle_signal(self) -> None:
        """Handle SIGTERM unless somebody does; has an effect in the main thread only."""
        if not _is_main_thread():
            return
        if any(driver in sys.modules for driver in WAITS_IN_C):
            self.stop()
        elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            with suppress(ValueError):  # a second interpreter in this process, as of mod_wsgi
                signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Restore the default, if the handler is still there; only the main thread can do it."""
        if _is_main_thread() and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _handle(self, number: int, _: Any) -> None:
        """Send the last push, and end the process as the signal would have without a handler.

        The push runs in a thread: the signal may have interrupted the main thread while it held a
        lock that the push needs. The thread is started without `threading`, because its locks may
        be held, too.
        """
        signal.signal(number, signal.SIG_DFL)
        is_sent = _thread.allocate_lock()
        is_sent.acquire()

        def send() -> None:
            try:
                self._send_last_push()
            finally:
                is_sent.release()

        try:
            _thread.start_new_thread(send, ())
            is_sent.acquire(timeout=LAST_PUSH_S)
        finally:
            os.kill(os.getpid(), number)


def _is_main_thread() -> bool:
    """Return whether the main thread runs; makes no `Thread` object for a thread without one."""
    return threading.get_ident() == threading.main_thread().ident
