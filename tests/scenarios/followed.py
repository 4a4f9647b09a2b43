"""Incidents of real programs on a real server, for the runbooks that are followed in them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from poolscope_alerts.promql import POOL
from poolscope_exporter.core import own_metrics as own
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.scenario import Watcher
from scenarios.stage import App, Stage, a_stage
from scenarios.timed.cases import an_app
from scenarios.timed.misplaced_cases import FORKED
from scenarios.timed.outside_cases import DEADLOCK
from scenarios.timed.owners_cases import GATHERED
from scenarios.timed.session_cases import ENDED
from scenarios.timed.stage import a_program
from support.exporter.crowd import a_crowd
from support.exporter.exporter_process import ExporterProcess
from support.processes.child_processes import wait_until
from support.runbooks.commands import Runbook, runbook

WITHIN_S = 120.0
"""Until each pool has its diagnosis, on a busy machine."""

BLOCKING = "blocks_its_loop"
BURSTS = "short_bursts"

LEAK = "leak_in_a_transaction"
UNDERSIZED = "too_many_for_their_pool"
LIMITED = "at_work_at_the_limit_of_its_role"


@dataclass(frozen=True, slots=True)
class Followed:
    """A runbook that is followed, and the pool that has what its alert is about.

    Only one section of its mitigation is followed, if `section` names it.
    """

    runbook: str
    pool: str
    diagnosis: Diagnosis
    section: str = ""

    def __str__(self) -> str:
        return f"{self.runbook}-{self.section or self.pool}"


FOLLOWED = (
    Followed("PoolLeak", LEAK, Diagnosis.LEAKING),
    Followed("PoolBlocked", "blocked_by_another_session", Diagnosis.BLOCKED),
    Followed("PoolIdleInTransaction", "idle_in_a_transaction", Diagnosis.HELD_IDLE),
    Followed("PoolBlockingCheckouts", BLOCKING, Diagnosis.LOOP_BLOCKED),
    Followed("PoolLoopBlocked", BLOCKING, Diagnosis.LOOP_BLOCKED),
    Followed("PoolConnectFailing", "cannot_connect", Diagnosis.CONNECT_FAILING),
    Followed("PoolConnectSlow", "waits_for_a_connection_to_open", Diagnosis.CONNECTING),
    Followed("PoolFull", "slow_query", Diagnosis.SLOW_QUERIES),
    Followed("PoolQueueLong", ENDED.name, Diagnosis.HELD_IDLE),
    Followed("PoolCheckoutSlow", DEADLOCK.name, Diagnosis.DEADLOCKED),
    Followed("PoolMisconfigured", UNDERSIZED, Diagnosis.UNDERSIZED),
    Followed("DatabaseFull", LIMITED, Diagnosis.SERVER_FULL),
    Followed("DatabaseLimitNear", LIMITED, Diagnosis.SERVER_FULL),
    Followed("PoolDeadlocked", DEADLOCK.name, Diagnosis.DEADLOCKED),
    Followed("PoolNestedCheckouts", DEADLOCK.name, Diagnosis.DEADLOCKED),
    Followed("PoolStuck", DEADLOCK.name, Diagnosis.DEADLOCKED),
    Followed("PoolTimeoutBudgetBurn", BURSTS, Diagnosis.UNDERSIZED),
    Followed("PoolSharedSessions", GATHERED.name, Diagnosis.LEAKING),
    Followed("PoolSharedAcrossFork", FORKED.name, Diagnosis.SHARED_ACROSS_FORK),
    Followed("PoolSessionsEnded", ENDED.name, Diagnosis.HELD_IDLE),
    *(
        Followed("PoolExhausted", pool, diagnosis, section=str(diagnosis))
        for pool, diagnosis in {
            "cannot_connect": Diagnosis.CONNECT_FAILING,
            LIMITED: Diagnosis.SERVER_FULL,
            LEAK: Diagnosis.LEAKING,
            "blocked_by_another_session": Diagnosis.BLOCKED,
            "slow_query": Diagnosis.SLOW_QUERIES,
            "held_after_a_query": Diagnosis.HELD_IDLE,
            UNDERSIZED: Diagnosis.UNDERSIZED,
        }.items()
    ),
    Followed("PoolExhausted", DEADLOCK.name, Diagnosis.DEADLOCKED),
)


def followed_part(followed: Followed) -> Runbook:
    """Return what is run: of the longest runbook, what is before its sections, or one of them."""
    book = runbook(followed.runbook)
    return book.section(followed.section) if book.name == "PoolExhausted" else book


_OF_THE_APP = (
    LEAK,
    "blocked_by_another_session",
    "idle_in_a_transaction",
    "slow_query",
    "held_after_a_query",
    "cannot_connect",
    "waits_for_a_connection_to_open",
    UNDERSIZED,
    LIMITED,
)


@dataclass(frozen=True, slots=True)
class Incidents:
    """What is running: every incident at once, and the exporter that sees them."""

    exporter: ExporterProcess
    server: EmbeddedPostgres

    def diagnoses(self) -> dict[str, set[str]]:
        """Return the diagnoses of the pools of each name now."""
        found: dict[str, set[str]] = {}
        for row in self.exporter.get("/api/v1/pools").json()["pools"]:
            found.setdefault(row["pool"], set()).add(row["diagnosis"])
        return found

    def labels_of(self, pool: str) -> dict[str, str]:
        """Return the labels of an alert on a pool of this name, or on its server."""
        series = f"{own.POOL_DESTINATION.name}{{"
        lines = self.exporter.get("/metrics").text.splitlines()
        # A process that forks leaves thousands of series, and parsing all of them takes seconds.
        text = "\n".join(line for line in lines if line.startswith(series) and pool in line)
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return next(dict(s.labels) for s in samples if s.labels[POOL[3]] == pool)


@contextmanager
def played_incidents(server: EmbeddedPostgres, folder: Path) -> Iterator[Incidents]:
    """Play every incident at once on a server of their own; yield when each has its diagnosis."""
    with ExitStack() as stack:
        stage = stack.enter_context(a_stage(server, folder))
        app = stage.start([Watcher.FULL])
        incidents = Incidents(stage.exporters[Watcher.FULL], server)
        begin_the_others(stage, stack)
        for behaviour in _OF_THE_APP:
            app.behave(behaviour)
        wanted = {each.pool: str(each.diagnosis) for each in FOLLOWED}
        seen: set[str] = set()
        assert wait_until(lambda: not missing(incidents, wanted, seen), WITHIN_S), (
            missing(incidents, wanted, seen),
            incidents.diagnoses(),
            app.log,
        )
        yield incidents


def missing(incidents: Incidents, wanted: Mapping[str, str], seen: set[str]) -> list[str]:
    """Return the pools that have not had their diagnosis yet; add to `seen` those that have it."""
    now = incidents.diagnoses()
    seen |= {pool for pool, diagnosis in wanted.items() if diagnosis in now.get(pool, ())}
    return sorted(wanted.keys() - seen)


def begin_the_others(stage: Stage, stack: ExitStack) -> None:
    """Start the programs of the reported incidents, and their callers."""
    exporter, ways = stage.exporters[Watcher.FULL], {"direct": stage.server.dsn}
    calls: Mapping[str, Sequence[tuple[str, int, float]]] = {
        # So many that on a busy machine too, enough come at once for a deadlock.
        "outside": [(DEADLOCK.name, 24, 0.0)],
        "owners": [(GATHERED.name, 2, 1.0)],
        "cases": [(ENDED.name, 8, 1.0), (BURSTS, 16, 0.2)],
    }
    for module, loads in calls.items():
        name = f"scenarios.timed.{module}_app:app"
        port = stack.enter_context(an_app(exporter, ways, stage.folder, name))
        for path, users, pause_s in loads:
            # One alone is answered, so that its route is known: the deadlock answers nobody.
            httpx.get(f"http://{HOST}:{port}/{path}", timeout=WITHIN_S)
            stack.enter_context(a_crowd(f"http://{HOST}:{port}/{path}", users, pause_s))
    # A loop that stands still is the trouble of every pool of its process: it has one of its own.
    alone = App(stage.ways, exporter.otlp, stage.folder / "blocking.log")
    stack.enter_context(alone).behave(BLOCKING)
    job = ["-m", "scenarios.timed.misplaced_jobs", FORKED.name]
    stack.enter_context(a_program(job, ways, exporter.otlp, stage.folder / "forked.log"))
