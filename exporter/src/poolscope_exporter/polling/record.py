"""Keep the record of one server's polls: what the loop says of itself, and when it goes on."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.polling.errors import Reason
from poolscope_exporter.polling.tiers import TierReport

MIN_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class PollReport:
    """How the polls of one server go; None before the first success.

    `last_success_s` is the wall clock's time of it, in seconds since the epoch. `connections` is
    how many of ours the server has; `tiers` what each kind of question costs it; `changes` how
    often it became another one.
    """

    server: str
    last_success_s: float | None
    duration_s: float | None
    failures: Mapping[str, int]
    connections: int | None = None
    tiers: TierReport | None = None
    changes: Mapping[str, int] = field(default_factory=dict)


class PollRecord:
    """The outcome of every poll so far, and when the last good one was (monotonic clock)."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._succeeded_at_s: float | None = None
        self._duration_s: float | None = None
        self._failures: Counter[str] = Counter({reason.value: 0 for reason in Reason})
        self.failures_in_a_row = 0

    def succeeded(self, started_at_s: float, now_s: float) -> None:
        """Note a good poll."""
        self._succeeded_at_s = now_s
        self._duration_s = now_s - started_at_s
        self.failures_in_a_row = 0

    def poll_failed(self, reason: Reason) -> None:
        """Note a poll that failed."""
        self._failures[reason.value] += 1
        self.failures_in_a_row += 1

    def backoff_s(self, interval_s: float) -> float:
        """Return how long to leave a failing server alone: up to two intervals, and not in step."""
        longest_s = max(MIN_BACKOFF_S, min(MAX_BACKOFF_S, 2 * interval_s))
        doubled_s = MIN_BACKOFF_S * 2.0 ** min(self.failures_in_a_row - 1, 10)
        jitter = random.uniform(0.75, 1.25)  # noqa: S311 - nobody must be unable to guess it
        return min(longest_s, doubled_s) * jitter

    def last_success_age_s(self, now_s: float) -> float | None:
        """Return how long ago the last good poll was."""
        return None if self._succeeded_at_s is None else now_s - self._succeeded_at_s

    def report(self, now_s: float, wall_s: float) -> PollReport:
        """Return the record as of now, which both clocks tell."""
        age_s = self.last_success_age_s(now_s)
        return PollReport(
            server=self._server,
            last_success_s=None if age_s is None else wall_s - age_s,
            duration_s=self._duration_s,
            failures=dict(self._failures),
        )


async def wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    """Wait for any of the events, at most so long."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=max(0.0, seconds), return_when="FIRST_COMPLETED")
    finally:
        for task in waiting:
            task.cancel()
