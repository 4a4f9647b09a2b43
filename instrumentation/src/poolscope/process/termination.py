"""Say good-bye when SIGTERM ends a process that has no handler for it, such as a plain script."""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

WAITS_IN_C: Final = ("MySQLdb", "cx_Oracle", "oracledb", "psycopg2", "pymssql", "pyodbc")
"""Drivers that wait for their server in C code, where no handler of Python can run.

If the main thread waits there, for example for a lock, a handler would delay the end of the
process until the server answers. So a process with such a driver has no handler.
"""

GOODBYE_S: Final = 1.5
"""Longest delay of the end of the process; a good-bye takes a second at most."""


class Termination:
    """The handler of SIGTERM in a process that would have none."""

    def __init__(self, say_goodbye: Callable[[], object]) -> None:
        self._say_goodbye = say_goodbye

    def watch(self) -> None:
        """Handle SIGTERM unless somebody does; has an effect in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            return
        if any(driver in sys.modules for driver in WAITS_IN_C):
            self.stop()
        elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handle)

    def stop(self) -> None:
        """Restore the default, if the handler is still there; only the main thread can do it."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _handle(self, number: int, _: Any) -> None:
        """Say good-bye, and end the process as the signal would have done without a handler.

        The good-bye runs in a thread: the signal may have interrupted the main thread while it
        held a lock that the good-bye needs. The thread is started without `threading`, because
        its locks may be held, too.
        """
        signal.signal(number, signal.SIG_DFL)
        is_said = _thread.allocate_lock()
        is_said.acquire()

        def say() -> None:
            try:
                self._say_goodbye()
            finally:
                is_said.release()

        try:
            _thread.start_new_thread(say, ())
            is_said.acquire(timeout=GOODBYE_S)
        finally:
            os.kill(os.getpid(), number)
