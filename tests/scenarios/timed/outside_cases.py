"""The reported incidents whose cause lies outside of the pool: threads, the loop, each other."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import PLAYED_S, Clients, Load, a_client, an_app, outcome_of
from scenarios.timed.courses import Courses
from scenarios.timed.stage import an_exporter

APP = "scenarios.timed.outside_app:app"


async def fill_the_threads(clients: Clients) -> None:
    while True:
        await clients.get("/holders_wait_for_a_thread", 100)


async def ask_for_two_connections(clients: Clients) -> None:
    while True:  # on a busy machine so few may come at once that all are served
        await clients.get("/two_dependencies_each_take_one", 12)


async def ask_synchronously(clients: Clients) -> None:
    while True:
        await clients.get("/synchronous_engine_on_the_loop", 8)


async def render_beside_queries(clients: Clients) -> None:
    async def ask() -> None:
        while True:
            await clients.get("/another_route_blocks_the_loop", 4)

    async def render() -> None:
        while True:
            await clients.get("/another_route_blocks_the_loop/pdf", 2)
            await asyncio.sleep(1)

    await asyncio.gather(ask(), render())


THREADS = Case(
    "01",
    "holders_wait_for_a_thread",
    "100 requests take a connection in one thread and go on in another; there are 40 threads",
    Diagnosis.THREADS_EXHAUSTED,
    says="worker threads are in use",
)
DEADLOCK = Case(
    "04",
    "two_dependencies_each_take_one",
    "two dependencies of a route each take a connection of one pool; 12 requests, 6 connections",
    Diagnosis.DEADLOCKED,
    says="held by callers that wait for another one of this pool",
)
SYNCHRONOUS = Case(
    "09",
    "synchronous_engine_on_the_loop",
    "async routes use a synchronous engine; the sixth caller blocks the loop for all",
    Diagnosis.LOOP_BLOCKED,
    says="blocked a running event loop",
)
ANOTHER_ROUTE = Case(
    "10",
    "another_route_blocks_the_loop",
    "a route without database blocks the event loop for 3 s at a time",
    Diagnosis.LOOP_BLOCKED,
    says="in render_pdf",
)
CASES = (THREADS, DEADLOCK, SYNCHRONOUS, ANOTHER_ROUTE)
LOADS: dict[Case, Load] = {
    THREADS: fill_the_threads,
    DEADLOCK: ask_for_two_connections,
    SYNCHRONOUS: ask_synchronously,
    ANOTHER_ROUTE: render_beside_queries,
}


def play_outside(server: EmbeddedPostgres, folder: Path, patience: float) -> list[CaseOutcome]:
    """Play each case in a process of its own; return what was said of each."""
    with ExitStack() as stack:
        exporter = stack.enter_context(an_exporter(folder, {"main": server}))
        ways = {"direct": server.dsn}
        ports = {case: stack.enter_context(an_app(exporter, ways, folder, APP)) for case in CASES}
        courses = stack.enter_context(Courses(exporter))
        began = asyncio.run(_play(ports, server))
        said = {case: courses.of(case.name) for case in CASES}
        return [outcome_of(each, said[each], began[each], patience) for each in CASES]


async def _play(ports: dict[Case, int], server: EmbeddedPostgres) -> dict[Case, float]:
    async with a_client() as client:
        for case in (DEADLOCK, ANOTHER_ROUTE):  # one by one it works, and the pool is there
            await Clients(client, (ports[case],), server).get(f"/{case.name}")
        began, tasks = {}, []
        for case, load in LOADS.items():
            began[case] = time.monotonic()
            tasks.append(asyncio.ensure_future(load(Clients(client, (ports[case],), server))))
        done, _ = await asyncio.wait(tasks, timeout=PLAYED_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not done, "a load ended by itself"
    return began
