"""One incident of a service's pool, with the data that a review needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Final

from poolscope.catalogue import Phase
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict

CALM_S: Final = 120.0
"""An incident ends after this time without new evidence, so a pool that flaps has one incident."""

MAX_TEXT: Final = 160
"""The most characters of a text; a reason may name many lines of code."""

QUIET: Final = frozenset({Diagnosis.HEALTHY, Diagnosis.UNKNOWN})
"""The diagnoses that neither begin an incident nor keep it open."""


class IncidentEnd(StrEnum):
    """The reason why an incident counts as ended.

    With `calm`, no process of the pool has a problem. With `unchanged`, a problem lasts without new
    evidence, such as a leak that is never returned. With `silence`, no process pushes the pool any
    more. With `unobserved`, the exporter did not run for too long to know.
    """

    CALM = "calm"
    UNCHANGED = "unchanged"
    SILENCE = "silence"
    UNOBSERVED = "unobserved"


@dataclass(frozen=True, slots=True)
class CauseChange:
    """A change of the diagnosis, with its first reason; the time is seconds since the epoch."""

    at_s: float
    diagnosis: Diagnosis
    reason: str


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """The worst numbers of one step of the timeline, over all processes; None is unknown."""

    at_s: float
    diagnosis: Diagnosis
    used: int | None
    limit: int | None
    waiting: int | None


@dataclass(frozen=True, slots=True)
class HolderGroup:
    """Checkouts with one verdict that one line took for one route; None is unknown.

    The line and call that keep the oldest of them are `kept_by`. Some of their backend PIDs are
    `backend_pids`, and the process of the oldest one is `process`.
    """

    verdict: Verdict
    route: str | None
    taken_at: str | None
    kept_by: str | None
    count: int
    oldest_s: float
    process: str
    backend_pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepingGroup:
    """The number of checkouts that one line of code keeps, as a phrase with its call."""

    line: str
    count: int


@dataclass(frozen=True, slots=True)
class CallerGroup:
    """Callers that wait in one phase at one line for one route; None is unknown."""

    phase: Phase
    route: str | None
    line: str | None
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """A pool at one moment, over all its processes; None is unknown.

    `holders` and `waiters` have the largest groups. The numbers of checkouts and callers in the
    other groups are `more_holders` and `more_waiters`.
    """

    at_s: float
    diagnosis: Diagnosis
    reasons: tuple[str, ...]
    processes: int
    used: int | None
    limit: int | None
    waiting: int | None
    holders: tuple[HolderGroup, ...] = ()
    more_holders: int = 0
    keeping_lines: tuple[KeepingGroup, ...] = ()
    waiters: tuple[CallerGroup, ...] = ()
    more_waiters: int = 0


@dataclass(frozen=True, slots=True)
class ReportedTimeout:
    """The lines that a process logged of the pool when its first caller gave up, at `at_s`."""

    at_s: float
    process: str
    text: str


@dataclass(frozen=True, slots=True)
class Peaks:
    """The largest numbers of an incident, over all processes of the pool.

    Time-outs and failures are counted per window of a diagnosis, which is 30 seconds. The
    connections that were leaked at one time are `leaked`.
    """

    waiting: int = 0
    timeouts: int = 0
    failures: int = 0
    leaked: int = 0
    used: int = 0
    processes: int = 0

    def at_least(self, other: "Peaks") -> "Peaks":
        """Return the larger of each number."""
        return Peaks(
            waiting=max(self.waiting, other.waiting),
            timeouts=max(self.timeouts, other.timeouts),
            failures=max(self.failures, other.failures),
            leaked=max(self.leaked, other.leaked),
            used=max(self.used, other.used),
            processes=max(self.processes, other.processes),
        )


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident; its times are seconds since the epoch.

    The last evidence arrived at `evidence_at_s`, which is also its end. It `ended` is known only
    later, when no more evidence came; None while it is open. The time of callers by diagnosis is
    `cause_seconds`. The `changes` are bounded, and `changes_left_out` is the number of the others.
    The pool at the first time-out is `first_timeout`, None without one. The first report that a
    process of the pool sent of it is `timeout_report`, None if none arrived. The exporter did not
    run for `unobserved_s` of its time. The sender `owner` answers for its room.
    """

    id: str
    pool: ServicePool
    owner: str
    began_at_s: float
    evidence_at_s: float
    peaks: Peaks
    worst: Moment
    changes: tuple[CauseChange, ...]
    ended: IncidentEnd | None = None
    changes_left_out: int = 0
    cause_seconds: Mapping[Diagnosis, float] = field(default_factory=dict)
    first_timeout: Moment | None = None
    timeline: tuple[TimelinePoint, ...] = ()
    step_s: float = 1.0
    unobserved_s: float = 0.0
    timeout_report: ReportedTimeout | None = None

    @property
    def cause(self) -> Diagnosis:
        """Return the diagnosis that cost callers the most time; of equals, the more serious."""
        order = list(Diagnosis)
        return max(
            self.cause_seconds,
            key=lambda cause: (self.cause_seconds[cause], -order.index(cause)),
            default=self.changes[0].diagnosis,
        )

    @property
    def lasted_s(self) -> float:
        """Return the seconds from its beginning to its last evidence."""
        return max(0.0, self.evidence_at_s - self.began_at_s)


def incident_id(pool: ServicePool, began_at_s: float) -> str:
    """Return a short id that is the same for the same pool and time, and safe in a URL."""
    return sha256(repr((pool, round(began_at_s, 3))).encode()).hexdigest()[:12]


def shortened(text: str) -> str:
    """Return a text that is cut to the limit."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def shortened_line(text: str) -> str:
    """Return a line of code that is cut at its beginning, because its end has the number."""
    return text if len(text) <= MAX_TEXT else "…" + text[1 - MAX_TEXT :]
