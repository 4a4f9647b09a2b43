"""Look up host names, but never while the process forks.

The C library resolves a name under locks. If another thread forks at that moment, the child has
these locks locked for ever, and the next look-up there, by the application, hangs.
"""

import socket
import threading
from typing import Any, Final

FORK_WAITS_S: Final = 0.2
"""A fork waits no longer for a look-up: a name server that does not answer must not delay it."""


class Lookups:
    """The look-ups of our threads that are in progress, and whether the process is forking."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # reentrant: a signal handler may fork, too
        self._in_progress = 0
        self._forks = 0

    def addresses_of(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Return what `socket.getaddrinfo` returns for a stream; raises OSError."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forks, timeout=FORK_WAITS_S)
            self._in_progress += 1
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        finally:
            with self._changed:
                self._in_progress -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Let no further look-up begin, and wait a moment for those in progress."""
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._in_progress, timeout=FORK_WAITS_S)

    def after_fork_in_parent(self) -> None:
        """Let look-ups begin again."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """Begin without the threads of the parent: none of them runs here."""
        self.__init__()  # type: ignore[misc]  # every lock and count is the parent's


LOOKUPS: Final = Lookups()
"""The resolver's locks belong to the whole process, and so does this."""
