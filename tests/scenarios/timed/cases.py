"""The incidents that users reported: what clients do in each, and what must be said of it."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.courses import SETTLED_S, Course, Courses
from scenarios.timed.stage import a_program, an_exporter
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

NAMED_WITHIN_S = 10.0
AFTER_EVIDENCE_S = 5.0
PLAYED_S = 40.0
NO_ACCUSATION = frozenset({Diagnosis.FULL, Diagnosis.UNKNOWN})


LEAK_EVIDENCE_S = 2.0
"""A request's checkout is one that leaked 2 s after the response."""


def a_client() -> httpx.AsyncClient:
    """Return a client that opens a connection for each request: a server closes idle ones."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=60, limits=limits, trust_env=False)


@dataclass(slots=True)
class Clients:
    """HTTP clients of the app: `ports` of its processes; `failed` requests are counted."""

    client: httpx.AsyncClient
    ports: tuple[int, ...]
    outage: EmbeddedPostgres
    failed: int = 0

    async def get(self, path: str, times: int = 1, method: str = "GET") -> None:
        """Send so many requests at once to each process, and wait for all answers."""
        await asyncio.gather(
            *(self._ask(port, path, method) for port in self.ports for _ in range(times))
        )

    async def _ask(self, port: int, path: str, method: str) -> None:
        with suppress(httpx.HTTPError):
            answer = await self.client.request(method, f"http://{HOST}:{port}{path}")
            self.failed += answer.is_error


Load = Callable[[Clients], Awaitable[None]]


async def use_background_tasks(clients: Clients) -> None:
    songs = asyncio.gather(*(clients.get(f"/songs/{n}", method="POST") for n in range(5)))
    await asyncio.sleep(2)
    await clients.get("/listeners/me", 5)
    await songs


async def open_streams(clients: Clients) -> None:
    streams = asyncio.create_task(clients.get("/events", 5))
    await asyncio.sleep(2)
    await clients.get("/members", 5)
    await streams


async def log_in_with_a_wrong_role(clients: Clients) -> None:
    while True:
        await clients.get("/pool_timeout_is_a_wrong_role", 6)


async def open_over_a_slow_way(clients: Clients) -> None:
    while True:
        await clients.get("/opening_takes_long", 14)
        await asyncio.sleep(4)


async def raise_in_routes(clients: Clients) -> None:
    for number in range(160):
        await clients.get(f"/shop/invoices/{number}")
        await asyncio.sleep(0.25)


async def cancel_in_routes(clients: Clients) -> None:
    for _ in range(4):
        await clients.get("/search")
        await asyncio.sleep(3)


async def exceed_the_role(clients: Clients) -> None:
    while True:
        await clients.get("/workers_times_pool_over_the_role", 14)
        await asyncio.sleep(0.3)


async def forget_putconn(clients: Clients) -> None:
    for number in range(24):
        await clients.get(f"/prices/{number}")
        await asyncio.sleep(0.3)


async def lose_the_database(clients: Clients) -> None:
    await asyncio.to_thread(clients.outage.stop)
    while True:
        await clients.get("/database_is_down", 6)
        await asyncio.sleep(0.8)


async def come_in_bursts(clients: Clients) -> None:
    while True:
        await clients.get("/short_bursts", 16)
        await asyncio.sleep(4)


LOADS: dict[str, Load] = {
    "02": use_background_tasks,
    "03": open_streams,
    "07": log_in_with_a_wrong_role,
    "08": open_over_a_slow_way,
    "19": raise_in_routes,
    "20": cancel_in_routes,
    "21": exceed_the_role,
    "28": forget_putconn,
    "36": lose_the_database,
    "38": come_in_bursts,
}

CASES = (
    Case(
        "02",
        "background_task_holds_its_session",
        "a dependency's session stays open until the background task ends, 25 s later",
        Diagnosis.HELD_IDLE,
    ),
    Case(
        "03",
        "stream_holds_its_session",
        "open event streams keep the sessions that only their login check used",
        Diagnosis.HELD_IDLE,
    ),
    Case(
        "07",
        "pool_timeout_is_a_wrong_role",
        "the role does not exist; psycopg_pool tries again in the background",
        Diagnosis.CONNECT_FAILING,
    ),
    Case(
        "08",
        "opening_takes_long",
        "each new connection takes 6 s to open",
        Diagnosis.CONNECTING,
    ),
    Case(
        "19",
        "middleware_skips_the_close",
        "a middleware closes the session after the route, but not when the route raises",
        Diagnosis.LEAKING,
        LEAK_EVIDENCE_S,
    ),
    Case(
        "20",
        "cancelled_before_the_release",
        "a deadline cancels the route between acquire and release",
        Diagnosis.LEAKING,
        LEAK_EVIDENCE_S,
    ),
    Case(
        "21",
        "workers_times_pool_over_the_role",
        "three processes with 15 connections each, and a role that may have 12",
        Diagnosis.SERVER_FULL,
    ),
    Case(
        "28",
        "getconn_without_putconn",
        "psycopg_pool's connection is not put back when the route raises",
        Diagnosis.LEAKING,
        LEAK_EVIDENCE_S,
    ),
    Case(
        "36",
        "database_is_down",
        "the database does not answer: every attempt to open a connection is refused",
        Diagnosis.CONNECT_FAILING,
    ),
    Case(
        "38",
        "short_bursts",
        "16 callers at once every 5 s, on 3 connections, who give up after half a second",
        Diagnosis.UNDERSIZED,
    ),
)

WARMED_UP = ("36",)
"""Cases that begin when their pool already works."""


def play_cases(
    server: EmbeddedPostgres, outage: EmbeddedPostgres, folder: Path, patience: float
) -> list[CaseOutcome]:
    """Play all cases at once, on servers of their own; return what was said of each.

    On a busy machine a pool may be called healthy `patience` times as long.
    """
    run_sql(server.dsn, "CREATE ROLE small LOGIN CONNECTION LIMIT 12")
    ways = {"direct": server.dsn, "limited": server.dsn_for("small"), "outage": outage.dsn}
    with ExitStack() as stack:
        exporter = stack.enter_context(an_exporter(folder, {"main": server, "outage": outage}))
        ports = [stack.enter_context(an_app(exporter, ways, folder)) for _ in range(3)]
        courses = stack.enter_context(Courses(exporter))
        began = asyncio.run(_play(courses, ports, outage))
        said = {case: courses.of(case.name) for case in CASES}
        return [outcome_of(each, said[each], began[each.number], patience) for each in CASES]


@contextmanager
def an_app(
    exporter: ExporterProcess,
    ways: dict[str, str],
    folder: Path,
    app: str = "scenarios.timed.cases_app:app",
) -> Iterator[int]:
    """Yield the port of an ASGI app of its own process, which answers."""
    port = held_port()
    command = ["uvicorn", app, f"--host={HOST}", f"--port={port}", "--log-level=warning"]
    with a_web_server(exporter, ways, folder, command, port):
        yield port


@contextmanager
def a_web_server(
    exporter: ExporterProcess, ways: dict[str, str], folder: Path, command: list[str], port: int
) -> Iterator[None]:
    """Run a web server, a Python module with its arguments, which answers at that port."""
    log = folder / f"app-{port}.log"
    with a_program(["-m", *command], ways, exporter.otlp, log) as process:
        assert wait_until(lambda: _answers(port, process)), log.read_text()
        yield


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://{HOST}:{port}/openapi.json").is_success
    return False


async def _play(
    courses: Courses, ports: Sequence[int], outage: EmbeddedPostgres
) -> dict[str, float]:
    """Play for as long as is looked at; return when each case began."""
    async with a_client() as client:
        alone = Clients(client, tuple(ports[:1]), outage)
        together = Clients(client, tuple(ports), outage)
        await alone.get("/database_is_down", 6)
        await asyncio.to_thread(wait_until, lambda: "database_is_down" in courses.pools())
        began, tasks = {}, []
        for number, load in LOADS.items():
            began[number] = time.monotonic()
            clients = together if number == "21" else alone
            tasks.append(asyncio.ensure_future(load(clients)))
        done, _ = await asyncio.wait(tasks, timeout=PLAYED_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failed = [error for task in done if (error := task.exception())]
    assert not failed, failed
    return began


def outcome_of(case: Case, course: Course, began_s: float, patience: float) -> CaseOutcome:
    """Return when the cause of a case was named, and what was said of it wrongly.

    On a busy machine the first connections open slowly, and it is true to say so.
    """
    right = Diagnosis(case.named_by)
    until_s = began_s + PLAYED_S
    late_s = began_s + patience * _late_s(case)
    if right is Diagnosis.HEALTHY:
        others = course.others({right}, began_s + SETTLED_S, until_s)
    else:
        early = {*NO_ACCUSATION, Diagnosis.HEALTHY, case.meanwhile or right, right}
        if patience > 1:
            early.add(Diagnosis.CONNECTING)
        others = [
            *course.others(early, began_s + SETTLED_S, late_s),
            *course.others({*NO_ACCUSATION, right}, late_s, until_s),
        ]
    first_s = course.first({right}, began_s, case.says)
    named = [
        look.reason_with(case.says) for look in course.between(began_s) if look.diagnosis is right
    ]
    plain = [sentence for sentence in named if sentence and not sentence.startswith("calm")]
    before = course.between(began_s, began_s + (first_s or PLAYED_S))
    return CaseOutcome(
        case,
        first_s=first_s,
        before=list(
            dict.fromkeys(str(look.diagnosis) for look in before if look.diagnosis is not right)
        ),
        wrong=sorted({str(look.diagnosis) for look in others}),
        sentence=plain[-1] if plain else "",
    )


def _late_s(case: Case) -> float:
    """Return from when on a case must not be called healthy any more."""
    is_late = case.evidence_after_s > 0
    return case.evidence_after_s + AFTER_EVIDENCE_S if is_late else SETTLED_S


def check_cases(outcomes: Sequence[CaseOutcome], patience: float) -> None:
    """Assert that each cause was named in time, and that nothing else was accused."""
    problems = [each for each in outcomes if each.wrong or not _is_in_time(each, patience)]
    assert not problems, problems


def _is_in_time(outcome: CaseOutcome, patience: float) -> bool:
    due_s = patience * max(NAMED_WITHIN_S, outcome.case.evidence_after_s + AFTER_EVIDENCE_S)
    return outcome.first_s is not None and outcome.first_s <= due_s
