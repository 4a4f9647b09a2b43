"""The reported incidents of connections in the wrong place: process, event loop, or with a lock."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import PLAYED_S, Clients, a_client, an_app, outcome_of
from scenarios.timed.courses import Courses
from scenarios.timed.stage import a_program, an_exporter

JOB_INTERVAL_S = 1.5
"""The second job is the first one that meets a connection of another event loop."""

PUSHED_EVERY_S = 5.0
"""A pool that nobody waits for is no reason to push faster."""

FORKED = Case(
    "05",
    "engine_shared_after_fork",
    "a parent uses its pool before the fork, and three children use the same connection",
    Diagnosis.SHARED_ACROSS_FORK,
    says="used a connection that another process opened",
)
LOOPS = Case(
    "15",
    "one_engine_in_many_loops",
    "asyncio.run for each job, with one engine on asyncpg for all of them",
    Diagnosis.UNKNOWN,
    evidence_after_s=JOB_INTERVAL_S,
    says="got a connection of another event loop",
)
LOCKED = Case(
    "16",
    "lock_left_in_the_pool",
    "an import takes an advisory lock and fails before the unlock: the lock goes into the pool",
    Diagnosis.BLOCKED,
    evidence_after_s=PUSHED_EVERY_S,
    says="holds a session-level advisory lock",
)


def play_misplaced(server: EmbeddedPostgres, folder: Path, patience: float) -> list[CaseOutcome]:
    """Play the three cases at once, on a server of their own; return what was said of each."""
    ways = {"direct": server.dsn}
    with ExitStack() as stack:
        exporter = stack.enter_context(an_exporter(folder, {"main": server}))
        port = stack.enter_context(an_app(exporter, ways, folder))
        courses = stack.enter_context(Courses(exporter))
        began: dict[str, float] = {}
        for case in (FORKED, LOOPS):
            command = ["-m", "scenarios.timed.misplaced_jobs", case.name]
            log = folder / f"{case.name}.log"
            stack.enter_context(a_program(command, ways, exporter.otlp, log))
            began[case.name] = time.monotonic()
        asyncio.run(_play(Clients(a_client(), (port,), server), began))
        said = {each: courses.of(each.name) for each in CASES}
        return [outcome_of(each, said[each], began[each.name], patience) for each in CASES]


CASES = (FORKED, LOOPS, LOCKED)


async def _play(clients: Clients, began: dict[str, float]) -> None:
    """Leave a lock in the pool, and send the imports that wait for it."""
    async with clients.client:
        path = f"/{LOCKED.name}"
        await clients.get(path, 4)
        await clients.get(path, method="POST")
        began[LOCKED.name] = time.monotonic()
        imports = asyncio.create_task(clients.get(path, 3, "POST"))
        await clients.get(path, 5)
        await asyncio.sleep(PLAYED_S)
        imports.cancel()
        await asyncio.gather(imports, return_exceptions=True)
