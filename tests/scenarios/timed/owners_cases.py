"""The reported incidents of connections that outlive or change their owner, and healthy ones."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from poolscope import catalogue
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import (
    LEAK_EVIDENCE_S,
    PLAYED_S,
    Clients,
    Load,
    a_client,
    a_web_server,
    an_app,
    outcome_of,
)
from scenarios.timed.counts import counted_by_pool
from scenarios.timed.courses import Courses
from scenarios.timed.owners_jobs import DJANGO, GREENLETS, JOBS
from scenarios.timed.stage import a_program, an_exporter

APP = "scenarios.timed.owners_app:app"
WSGI_APP = "scenarios.timed.owners_wsgi:app"

LOOKED_AT_AFTER_S = 5.0
IDLE_S = 30.0
"""A thread counts as idle, or as ended, after this time."""


async def gather_on_one_session(clients: Clients) -> None:
    while True:
        await clients.get("/gather_on_one_session", 2)
        await asyncio.sleep(0.8)


async def hand_to_a_task(clients: Clients) -> None:
    await clients.get("/session_handed_to_a_task", 2, "POST")


async def ask_with_one_session(clients: Clients) -> None:
    async def ask() -> None:
        while True:
            await clients.get("/one_session_for_each_request")
            await asyncio.sleep(0.05)

    await asyncio.gather(*(ask() for _ in range(20)))


async def iterate_over_the_dependency(clients: Clients) -> None:
    number = 0
    while True:
        await clients.get(f"/async_for_over_the_dependency/{number}")
        number += 1
        await asyncio.sleep(0.3)


async def fill_the_threads_once(clients: Clients) -> None:
    await clients.get("/session_of_a_thread_is_kept", 8)


GATHERED = Case(
    "06",
    "gather_on_one_session",
    "the tasks of a request use its session at once: closing it fails, and connections stay out",
    Diagnosis.LEAKING,
    evidence_after_s=LEAK_EVIDENCE_S,
    says="of the session of another request, task or thread",
)
THREADS = Case(
    "11",
    "session_of_a_thread_is_kept",
    "a WSGI app never removes the session of its thread; the threads wait for requests",
    Diagnosis.LEAKING,
    evidence_after_s=LOOKED_AT_AFTER_S + IDLE_S,
    meanwhile=Diagnosis.HELD_IDLE,
)
HANDED_OVER = Case(
    "26",
    "session_handed_to_a_task",
    "nothing: a task goes on with the session of a request that has ended, and closes it",
    Diagnosis.HEALTHY,
)
ONE_SESSION = Case(
    "29",
    "one_session_for_each_request",
    "each request has one session in all its threads; the pool is too small for 20 clients",
    Diagnosis.UNDERSIZED,
)
DJANGO_THREADS = Case(
    "30",
    DJANGO,
    "each thread of a management command takes a connection of Django's pool, and ends",
    Diagnosis.LEAKING,
    evidence_after_s=IDLE_S,
    meanwhile=Diagnosis.HELD_IDLE,
)
ITERATED = Case(
    "31",
    "async_for_over_the_dependency",
    "nothing: a dependency iterates over another one, and drops it, which closes the generator",
    Diagnosis.HEALTHY,
)
WORKING_GREENLETS = Case(
    "37",
    GREENLETS,
    "nothing: two greenlets of gevent run short statements, each in one connection, for 40 s",
    Diagnosis.HEALTHY,
)
CASES = (GATHERED, THREADS, HANDED_OVER, ONE_SESSION, DJANGO_THREADS, ITERATED, WORKING_GREENLETS)

LOADS: Mapping[Case, Load] = {
    GATHERED: gather_on_one_session,
    HANDED_OVER: hand_to_a_task,
    ONE_SESSION: ask_with_one_session,
    ITERATED: iterate_over_the_dependency,
}
HEALTHY = tuple(case for case in CASES if case.named_by == Diagnosis.HEALTHY)


@dataclass(frozen=True, slots=True)
class OwnersOutcome:
    """What was said of the cases, and what was counted: pools with a nested checkout or a leak."""

    cases: list[CaseOutcome]
    nested: set[str]
    leaked: set[str]


def play_owners(server: EmbeddedPostgres, folder: Path, patience: float) -> OwnersOutcome:
    """Play all cases at once, on a server of their own."""
    ways, began = {"direct": server.dsn}, dict[Case, float]()
    with ExitStack() as stack:
        exporter = stack.enter_context(an_exporter(folder, {"main": server}))
        asgi = stack.enter_context(an_app(exporter, ways, folder, APP))
        wsgi = held_port()
        command = [
            "gunicorn", WSGI_APP, f"--bind={HOST}:{wsgi}", "--worker-class=gthread",
            "--threads=8", "--workers=1",
        ]  # fmt: skip
        stack.enter_context(a_web_server(exporter, ways, folder, command, wsgi))
        courses = stack.enter_context(Courses(exporter))
        for case in (each for each in CASES if each.name in JOBS):
            program = ["-m", "scenarios.timed.owners_jobs", case.name]
            log = folder / f"{case.name}.log"
            stack.enter_context(a_program(program, ways, exporter.otlp, log))
            began[case] = time.monotonic()
        asyncio.run(_play(server, asgi, wsgi, began))
        said = {each: courses.of(each.name) for each in CASES}
        outcomes = [outcome_of(each, said[each], began[each], patience) for each in CASES]
        nested = counted_by_pool(exporter, catalogue.NESTED_CHECKOUTS)
        return OwnersOutcome(outcomes, set(+nested), courses.pools_with(Verdict.LEAKED))


async def _play(server: EmbeddedPostgres, asgi: int, wsgi: int, began: dict[Case, float]) -> None:
    async with a_client() as client:
        app, threads = Clients(client, (asgi,), server), Clients(client, (wsgi,), server)
        tasks = [asyncio.ensure_future(load(app)) for load in LOADS.values()]
        tasks.append(asyncio.ensure_future(fill_the_threads_once(threads)))
        began |= dict.fromkeys((*LOADS, THREADS), time.monotonic())
        await asyncio.sleep(PLAYED_S + LOOKED_AT_AFTER_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
