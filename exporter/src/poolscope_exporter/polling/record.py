"""Record one server's polls, for the loop's report about itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.polling.errors import Reason
from poolscope_exporter.polling.tiers import TierReport


@dataclass(frozen=True, slots=True)
class PollReport:
    """The state of one server's polls; None before the first success.

    `last_success_s` is the wall clock's time of the last success, in seconds since the epoch. The
    number of the exporter's connections to the server is `connections`. The time and the missed
    answers of each kind of query are in `tiers`. Restarts, failovers and the like are counted in
    `changes`.
    """

    server: str
    last_success_s: float | None
    duration_s: float | None
    failures: Mapping[str, int]
    connections: int | None = None
    tiers: TierReport | None = None
    changes: Mapping[str, int] = field(default_factory=dict)


class PollRecord:
    """The outcome of every poll so far, and the monotonic time of the last successful one.

    `trouble` explains why the last poll failed; it is None after a success. The same as a value is
    `reason`, which is None also before the first poll.
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
        """Record a successful poll; return whether the previous one failed or there was none."""
        is_change = self.trouble is not None
        self._succeeded_at_s = now_s
        self._duration_s = now_s - started_at_s
        self.failures_in_a_row = 0
        self.trouble = self.reason = None
        return is_change

    def poll_failed(self, reason: Reason, message: str) -> bool:
        """Record a failed poll; return whether its reason differs from the previous poll's."""
        is_change = reason is not self.reason
        self._failures[reason.value] += 1
        self.failures_in_a_row += 1
        self.trouble, self.reason = f"{reason}: {message}", reason
        return is_change

    def last_success_age_s(self, now_s: float) -> float | None:
        """Return the seconds since the last successful poll."""
        return None if self._succeeded_at_s is None else now_s - self._succeeded_at_s

    def report(self, now_s: float, wall_s: float) -> PollReport:
        """Return the record at this moment, given as both clocks' times."""
        age_s = self.last_success_age_s(now_s)
        return PollReport(
            server=self._server,
            last_success_s=None if age_s is None else wall_s - age_s,
            duration_s=self._duration_s,
            failures=dict(self._failures),
        )
