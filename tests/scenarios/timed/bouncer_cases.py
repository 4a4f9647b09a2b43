"""The reported incident that needs a PgBouncer: statements that it does not track."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.checks.model import CheckId
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.incident.pgbouncer import PgBouncer
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import Clients, a_client, an_app
from scenarios.timed.courses import Course, Courses
from scenarios.timed.stage import an_exporter
from support.pgbouncer import statements_untracked

STATEMENTS = Case(
    "14",
    "statements_behind_a_bouncer",
    "asyncpg keeps prepared statements, and PgBouncer gives each transaction another session",
    CheckId.C15,
)
ROUNDS = 20
NOT_ACCUSED = frozenset({Diagnosis.HEALTHY, Diagnosis.FULL, Diagnosis.UNKNOWN})


def play_statements(server: EmbeddedPostgres, folder: Path) -> CaseOutcome:
    """Play it on a server of its own; return when the check warned, and what was said wrongly."""
    with ExitStack() as stack:
        bouncer = stack.enter_context(
            PgBouncer(server, default_pool_size=3, **statements_untracked())
        )
        ways = {"direct": server.dsn, "bouncer": bouncer.dsn}
        exporter = stack.enter_context(an_exporter(folder, {"main": server}, [bouncer.console]))
        port = stack.enter_context(an_app(exporter, ways, folder))
        courses = stack.enter_context(Courses(exporter))
        began_s = time.monotonic()
        failed = asyncio.run(_play(server, [port]))
        course = courses.of(STATEMENTS.name)
    assert failed, "nothing failed, so the case was not played"
    return _outcome(course, began_s)


async def _play(server: EmbeddedPostgres, ports: Sequence[int]) -> int:
    async with a_client() as client:
        clients = Clients(client, tuple(ports), server)
        for _ in range(ROUNDS):
            await clients.get("/statements_behind_a_bouncer", 8)
            await asyncio.sleep(0.7)
    return clients.failed


def _outcome(course: Course, began_s: float) -> CaseOutcome:
    wrong = course.others(NOT_ACCUSED, began_s, float("inf"))
    return CaseOutcome(
        STATEMENTS,
        first_s=course.first_warning(STATEMENTS.named_by, began_s),
        before=[],
        wrong=sorted({str(look.diagnosis) for look in wrong}),
        sentence="configuration check C15 warns",
    )
