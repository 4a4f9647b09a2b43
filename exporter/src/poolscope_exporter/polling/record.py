"""Keep the record of one server's polls: what the loop reports about itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.polling.errors import Reason
from poolscope_exporter.polling.tiers import TierReport


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
    """The outcome of every poll so far, and when the last good one was (monotonic clock).

    `trouble` is why the last poll failed, as people read it, and None after a good one; `reason`
    is the same as a value, None also before the first poll.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._succeeded_at_s: float | None = None
        self._duration_s: float | None = None
        self._failures: Counter[str] = Counter({reason.value: 0 for reason in Reason})
        self.failures_in_a_row = 0
        self.trouble: str | None = "not polled yet"
        self.reason: Reason | None = None

    def poll_succeeded(self, started_at_s: float, now_s: float) -> bool:
        """Record a good poll; return whether there was none just before."""
        is_change = self.trouble is not None
        self._succeeded_at_s = now_s
        self._duration_s = now_s - started_at_s
        self.failures_in_a_row = 0
        self.trouble = self.reason = None
        return is_change

    def poll_failed(self, reason: Reason, message: str) -> bool:
        """Record a poll that failed; return whether the one before had not the same reason."""
        is_change = reason is not self.reason
        self._failures[reason.value] += 1
        self.failures_in_a_row += 1
        self.trouble, self.reason = f"{reason}: {message}", reason
        return is_change

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
