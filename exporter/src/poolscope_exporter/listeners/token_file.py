"""Read a file of tokens again when it changes, and wait for no volume that does not answer."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolscope_exporter import clock
from poolscope_exporter.listeners.tokens import Keyring, Token, read_tokens
from poolscope_exporter.threads.daemon_threads import DaemonThreads

LOOK_AGAIN_S: Final = 1.0
"""The time between two checks for a change of the file."""

PATIENCE_S: Final = 1.0
"""The longest wait of a caller for the file; after it, the caller gets the last tokens."""

OVERDUE_S: Final = 10.0
"""The duration of one reading after which a warning is logged."""

_Stamp = tuple[int, int, int]
_NEVER_READ: Final[_Stamp] = (-1, -1, -1)

_log = logging.getLogger("poolscope_exporter")


@dataclass(frozen=True, slots=True)
class _Reading:
    """The result of one reading; `tokens` is None if the file has not changed."""

    stamp: _Stamp | None
    tokens: tuple[Token, ...] | None


class TokenFile:
    """A file of tokens, read in a separate thread, one reading at a time.

    If the file cannot be read, or a reading does not end, the last tokens stay, and one warning is
    logged.
    """

    def __init__(
        self,
        file: Path,
        tokens: Sequence[Token] = (),
        *,
        patience_s: float = PATIENCE_S,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._file = file
        self._tokens = tuple(tokens)
        self._patience_s = patience_s
        self._now = now
        self._threads = DaemonThreads("token-file")
        self._reading: asyncio.Task[_Reading] | None = None
        self._began_s = 0.0
        self._stamp: _Stamp | None = _NEVER_READ
        self._problem: str | None = None

    async def latest_tokens(self) -> tuple[Token, ...]:
        """Return the tokens of the file, or the last ones; raise ValueError if there are none."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._threads.run(self._read_if_changed))
            self._began_s = self._now()
            await asyncio.wait({self._reading}, timeout=self._patience_s)
        # A second caller may have used the result meanwhile.
        if self._reading is not None and self._reading.done():
            self._use_reading(self._reading)
            self._reading = None
        elif self._now() - self._began_s >= OVERDUE_S:
            self._warn(f"was not read within {OVERDUE_S:g} s")
        if not self._tokens:
            raise ValueError(self._problem or "was not read yet")
        return self._tokens

    def _read_if_changed(self) -> _Reading:
        """Read the file, in the thread; raise ValueError as `read_tokens`."""
        stamp = _stamp(self._file)
        if stamp == self._stamp and stamp is not None:
            return _Reading(stamp, None)
        return _Reading(stamp, read_tokens(self._file))

    def _use_reading(self, done: "asyncio.Task[_Reading]") -> None:
        try:
            reading = done.result()
        except (ValueError, RuntimeError) as exc:  # the file's fault; no further thread
            self._stamp = _NEVER_READ
            self._warn(str(exc))
            return
        is_new = reading.tokens is not None and reading.tokens != self._tokens
        if self._problem or (is_new and self._tokens):
            _log.info("the token file %s was read again", self._file)
        self._problem, self._stamp = None, reading.stamp
        self._tokens = reading.tokens or self._tokens

    def _warn(self, problem: str) -> None:
        if self._problem is None:
            effect = "the tokens stay as they were" if self._tokens else "there is no token"
            _log.warning("the token file %s %s; %s", self._file, problem, effect)
        self._problem = problem


async def keep_current(keyring: Keyring, file: TokenFile, stop: asyncio.Event) -> None:
    """Give the keyring the tokens of the file, until the end of the program."""
    while not stop.is_set():
        keyring.use_tokens(await file.latest_tokens())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_AGAIN_S)


def _stamp(file: Path) -> _Stamp | None:
    """Return a value that changes when the file does; None if the file is missing."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
