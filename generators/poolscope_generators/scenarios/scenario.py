"""One scenario: what a connection really is, and what the exporter must say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.core.linking.link import Unlinked


class Truth(StrEnum):
    """What is really the case, by how the app is written; a row of the confusion table."""

    LEAKED = "leaked: no code will return it"
    SLOW = "it runs a long query"
    BLOCKED = "its query waits for a lock"
    IN_TRANSACTION = "its transaction is open, and no statement runs"
    IDLE = "held, and no statement runs"
    STALLED = "its statement waits for the application"
    AT_WORK = "it runs short statements, one after another"
    DECLARED = "idle on purpose, and declared as long-lived"
    QUEUED = "it waits in PgBouncer's queue"
    GONE = "its session has ended"
    NO_CONNECTION = "no connection opens, or none opens soon"


class Watcher(StrEnum):
    """An exporter of the run, by what it watches."""

    FULL = "full"
    TWICE = "twice"
    NONE = "none"


WATCHES = {
    Watcher.FULL: "polls the server, with pg_read_all_stats",
    Watcher.TWICE: "polls the server under two names, without any grant",
    Watcher.NONE: "polls no server",
}


class Phase(StrEnum):
    """When it is looked at."""

    RUNNING = "running"
    DOWN = "down"
    RESTARTED = "restarted"


class Runs(StrEnum):
    """In which of the runs a scenario is played."""

    DIRECT = "direct"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class Expected:
    """What is said of it: verdict, link as the API writes it, and diagnosis of its pool.

    None is not looked at. `on_the_way` are links that must have been shown before, or beside.
    """

    verdict: Verdict | None
    link: str | None = None
    diagnosis: Diagnosis | None = None
    on_the_way: tuple[str, ...] = ()
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A behaviour of the app, by the name of its function, as one of the exporters sees it.

    `is_late`: it takes long to be so, and begins when everything else is as it will stay: a new
    thread may get the identifier of one that has ended, and then nobody knows that it has.
    """

    behaviour: str
    truth: Truth
    expected: Expected
    watcher: Watcher = Watcher.FULL
    phase: Phase = Phase.RUNNING
    runs: Runs = Runs.DIRECT
    by_route: bool = True
    is_late: bool = False

    @property
    def name(self) -> str:
        """Return what tells it from the others."""
        return f"{self.behaviour}-{self.watcher}-{self.phase}"

    @property
    def title(self) -> str:
        """Return it in words."""
        return self.behaviour.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Declared:
    """Every scenario; `on_the_way` are verdicts and links that none of them ends with, and why.

    `by_incidents` are diagnoses that only a timed incident shows, with its title.
    """

    scenarios: tuple[Scenario, ...]
    on_the_way: Mapping[str, str]
    by_incidents: Mapping[str, str] = field(default_factory=dict)


def unlinked(reason: Unlinked) -> str:
    """Return the link of a checkout without one, as the API writes it."""
    return f"unlinked:{reason}"
