"""Resolve names in separate threads, with one query at a time for each name.

A name server that does not answer blocks a thread for half a minute, even if its caller gives up.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from poolscope_exporter.threads.daemon_threads import settle

MAX_LOOKUPS: Final = 64
"""The largest number of names resolved at once, each in a thread; a configuration has a few."""

_Result = TypeVar("_Result")
_Addresses = list[Any]
"""In the form that `socket.getaddrinfo` returns."""


class _Question(NamedTuple):
    """The arguments of `socket.getaddrinfo`."""

    host: bytes | str | None
    port: bytes | str | int | None
    family: int
    type: int
    proto: int
    flags: int


def run_with_lookups(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, like `asyncio.run`, with name look-ups in separate threads."""
    with asyncio.Runner(loop_factory=LookupLoop) as runner:
        return runner.run(main)


class LookupLoop(asyncio.SelectorEventLoop):
    """An event loop with separate threads for look-ups, so that other work always has threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[_Question, asyncio.Future[_Addresses]] = {}

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as asyncio names it
        proto: int = 0,
        flags: int = 0,
    ) -> _Addresses:
        """Return the addresses of a host.

        A name that is already being resolved is not queried again.

        Raises OSError if the host has no address.
        """
        question = _Question(host, port, family, type, proto, flags)
        with suppress(OSError):  # an address needs no look-up
            numeric = flags | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return socket.getaddrinfo(*question._replace(flags=numeric))
        lookup = self._lookups.get(question)
        if lookup is None:
            lookup = self._begin(question)
        return await asyncio.shield(lookup)

    def _begin(self, question: _Question) -> "asyncio.Future[_Addresses]":
        if len(self._lookups) >= MAX_LOOKUPS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many names are being resolved")
        lookup: asyncio.Future[_Addresses] = self.create_future()
        # All callers may have given up when it fails; an unread exception would be logged.
        lookup.add_done_callback(lambda done: done.cancelled() or done.exception())
        thread = threading.Thread(
            target=self._look_up, args=(question, lookup), name="poolscope-lookup", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system permits no further thread
            raise socket.gaierror(socket.EAI_AGAIN, str(error)) from None
        self._lookups[question] = lookup
        return lookup

    def _look_up(self, question: _Question, lookup: "asyncio.Future[_Addresses]") -> None:
        found: _Addresses | None = None
        error: Exception | None = None
        try:
            found = socket.getaddrinfo(*question)
        except Exception as raised:  # noqa: BLE001 - the caller gets it
            error = raised
        with suppress(RuntimeError):  # the loop is closed: no caller waits
            self.call_soon_threadsafe(self._end, question, lookup, found, error)

    def _end(
        self,
        question: _Question,
        lookup: "asyncio.Future[_Addresses]",
        found: _Addresses | None,
        error: Exception | None,
    ) -> None:
        del self._lookups[question]
        settle(lookup, found, error)
