"""The reported incident in which the server ends sessions: transactions that idle for too long."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.sentences import LOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import NO_ACCUSATION, Clients, a_client, an_app
from scenarios.timed.courses import SETTLED_S, Course, Courses
from scenarios.timed.stage import an_exporter

ENDED = Case(
    "17",
    "idle_transactions_are_ended",
    "a route awaits a service for 9 s in a transaction; the server ends its session after 4 s",
    Diagnosis.HELD_IDLE,
)
ROUNDS = 2
SETTING = "idle_in_transaction_session_timeout"


def play_ended_sessions(server: EmbeddedPostgres, folder: Path) -> CaseOutcome:
    """Play it on a server of its own; return when the cause was named, and what was said wrongly.

    The reason has to name the time-out once requests have failed, and never a socket.
    """
    with ExitStack() as stack:
        exporter = stack.enter_context(an_exporter(folder, {"main": server}))
        port = stack.enter_context(an_app(exporter, {"direct": server.dsn}, folder))
        courses = stack.enter_context(Courses(exporter))
        began_s = time.monotonic()
        failed = asyncio.run(_play(server, [port]))
        course = courses.of(ENDED.name)
    assert failed == 5 * ROUNDS, failed
    return _outcome(course, began_s)


async def _play(server: EmbeddedPostgres, ports: Sequence[int]) -> int:
    async with a_client() as client:
        clients = Clients(client, tuple(ports), server)
        for _ in range(ROUNDS):
            await clients.get("/idle_transactions_are_ended", 5)
        await asyncio.sleep(SETTLED_S)
    return clients.failed


def _outcome(course: Course, began_s: float) -> CaseOutcome:
    right = Diagnosis(ENDED.named_by)
    others = course.others({right, *NO_ACCUSATION}, began_s + SETTLED_S, float("inf"))
    sentences = dict.fromkeys(reason for look in course.between(began_s) for reason in look.reasons)
    named = [sentence for sentence in sentences if SETTING in sentence]
    return CaseOutcome(
        ENDED,
        first_s=course.first({right}, began_s),
        before=[],
        wrong=[*sorted({str(look.diagnosis) for look in others}), *_other_reasons(sentences)],
        sentence=named[-1] if named else "",
    )


def _other_reasons(sentences: Iterable[str]) -> list[str]:
    """Return the sentences that give another reason for the sessions that were lost."""
    beginnings = tuple(text.partition("{}")[0] for text in LOST.values())
    lost = [sentence for sentence in sentences if sentence.startswith(beginnings)]
    return [sentence for sentence in lost if SETTING not in sentence]
