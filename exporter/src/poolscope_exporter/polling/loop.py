"""Poll one server until stopped: at its interval, at once when woken, less often while it fails."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from poolscope_exporter import clock
from poolscope_exporter.polling.backoff import Backoff
from poolscope_exporter.polling.connection import Peer
from poolscope_exporter.polling.errors import Reason, ServerUnavailableError
from poolscope_exporter.polling.record import PollRecord
from poolscope_exporter.polling.waiting import Wait, wait_for_any

MIN_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0

_log = logging.getLogger("poolscope_exporter")


class Polled(Protocol):
    """The actions of one poll and of its outcome; the loop decides the times."""

    @property
    def log_name(self) -> str:
        """Return the polled thing's name for log lines."""

    async def poll(self, now_s: float) -> None:
        """Send every query that is due; raise ServerUnavailableError on failure."""

    def on_failure(self) -> None:
        """Drop the data that a failing server makes invalid; called at each failure."""

    def log_answer(self) -> None:
        """Log which server answers, at its first answer and after each failure."""

    def log_failure(self, trouble: str) -> None:
        """Log why nothing answers; called once for each change of the reason."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals of polls: `shortest_gap_s` is the minimum, however often one is requested."""

    interval_s: float
    shortest_gap_s: float = 0.0

    def backoff(self) -> Backoff:
        """Return the pauses while polls fail: at most two intervals, between 1 s and 30 s."""
        longest_s = max(MIN_BACKOFF_S, min(MAX_BACKOFF_S, 2 * self.interval_s))
        return Backoff(MIN_BACKOFF_S, longest_s)


class PollLoop:
    """The loop around one server; it writes the `record`, and the poller reads it."""

    def __init__(
        self,
        polled: Polled,
        peer: Peer,
        record: PollRecord,
        pace: Pace,
        *,
        monotonic: Callable[[], float] = clock.monotonic,
        wait: Wait = wait_for_any,
    ) -> None:
        self._polled = polled
        self._peer = peer
        self._record = record
        self._pace = pace
        self._backoff = pace.backoff()
        self._monotonic = monotonic
        self._wait = wait
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()

    def wake(self) -> None:
        """Request a poll at once."""
        self._wake.set()

    async def wake_and_wait(self, at_most_s: float) -> None:
        """Request a poll at once, and wait for its end for at most `at_most_s`."""
        self._ended.clear()
        self._wake.set()
        await self._wait(at_most_s, self._ended)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set, then close the connection; no error ends the loop."""
        while not stop.is_set():
            await self.poll_once()
            await self._pause(stop)
        await self._peer.close()

    async def poll_once(self) -> None:
        """Poll once; a failure is recorded, and logged if its reason is new."""
        self._wake.clear()
        started_at_s = self._monotonic()
        try:
            await self._poll(started_at_s)
        except ServerUnavailableError as exc:
            self._failed(exc.reason, str(exc))
        except Exception:  # noqa: BLE001 - if the loop ended, this server would never be polled again
            _log.exception(
                "poll of %s failed with an internal error; please report it", self._polled.log_name
            )
            self._failed(Reason.OTHER, "internal error, see the log")
        else:
            self._succeeded(started_at_s)
        self._ended.set()

    async def _poll(self, started_at_s: float) -> None:
        try:
            await self._polled.poll(started_at_s)
        finally:
            await self._peer.end_poll()

    def _succeeded(self, started_at_s: float) -> None:
        if self._record.poll_succeeded(started_at_s, self._monotonic()):
            self._polled.log_answer()

    def _failed(self, reason: Reason, message: str) -> None:
        is_change = self._record.poll_failed(reason, message)
        self._polled.on_failure()
        if is_change and self._record.trouble is not None:
            self._polled.log_failure(self._record.trouble)

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait until the next poll is due, a poll is requested, or the loop is stopped.

        While a server fails, a request does not shorten the pause.
        """
        if self._record.trouble is not None:
            await self._wait(self._backoff.pause_s(self._record.failures_in_a_row), stop)
            return
        gap_s = self._pace.shortest_gap_s
        await self._wait(gap_s, stop)
        await self._wait(self._pace.interval_s - gap_s, stop, self._wake)
