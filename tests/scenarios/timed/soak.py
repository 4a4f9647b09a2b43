"""Healthy traffic for as long as `SOAK_S` gives: what clients do, and what is said of it."""

import asyncio
import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from poolscope import catalogue
from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.demo.ports import HOST
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.ports import held_port
from scenarios.timed.counts import counted_by_pool
from scenarios.timed.courses import Courses, Look
from scenarios.timed.stage import a_program, an_exporter
from support.exporter.exporter_process import ExporterProcess
from support.postgres.server import run_sql
from support.processes.child_processes import wait_until

SHORT_S = 45.0
"""Long enough for connections to reach the age at which they are replaced."""
LENGTH_S = float(os.environ.get("SOAK_S", SHORT_S))
"""How long to play: `make soak` sets 30 minutes."""

GREENLETS = "greenlets"
POOLS = (
    "carts", "events", GREENLETS, "jobs", "mails", "orders", "reports", "scripts", "users",
)  # fmt: skip
CALM_S = 0.5
"""Callers that wait longer for a connection are hurt: such traffic would not be healthy."""
HURT_SHARE = 0.01
"""Of the requests may wait so long: the machine of a test stops for a moment now and then."""
ROWS = 4
DIRECT = "direct"

STEADY: Sequence[tuple[str, str, float]] = (
    ("GET", "/orders/1", 4),
    ("POST", "/orders/1", 4),
    ("POST", "/orders/2", 2),
    ("GET", "/orders/1/stream", 0.5),
    ("GET", "/pages/sqlalchemy", 0.2),
    ("GET", "/pages/asyncpg", 0.2),
    ("GET", "/pages/psycopg", 0.2),
    ("GET", "/search/sqlalchemy", 0.2),
    ("GET", "/search/asyncpg", 0.2),
    ("GET", "/search/psycopg", 0.2),
    ("GET", "/reports/1", 4),
    ("GET", "/reports/slow", 0.3),
    ("GET", "/reports/limited", 0.2),
    ("GET", "/carts/1", 4),
    ("GET", "/carts/limited", 0.2),
    ("POST", "/carts/1", 1),
    ("GET", "/users/1", 4),
    ("GET", "/mails/1", 2),
    ("POST", "/mails/1", 0.5),
)
"""Method, path, and how many requests per second on average."""
BURST: Sequence[tuple[str, str]] = (
    *[("GET", "/orders/1")] * 8,
    *[("GET", "/reports/1")] * 5,
    *[("GET", "/carts/1")] * 24,
    *[("GET", "/users/1")] * 8,
    *[("POST", "/users/1")] * 3,
)
BURST_EVERY_S = 3.0
DRIVERS = ("asyncpg", "psycopg", "sqlalchemy")
IMPATIENT = (
    *(f"/pages/{driver}" for driver in DRIVERS),
    *(f"/search/{driver}" for driver in DRIVERS),
    "/orders/1/stream",
    "/orders/1",
)
IMPATIENT_EVERY_S = 0.4
MUST_HAPPEN = (
    *(f"streams cut off in {driver}" for driver in DRIVERS),
    *(f"searches cancelled in {driver}" for driver in DRIVERS),
    "batches of the task",
    "batches of the thread",
    "command timeouts",
    f"checkouts of {GREENLETS}",
    "handovers to a task",
    "jobs of a thread pool",
    "mails from threads",
    "notifications of asyncpg",
    "notifications of psycopg",
    "serialization errors",
    "statement timeouts",
    "streams to the end",
)
"""Each must have happened: a soak without it would prove less than it claims."""


@dataclass(frozen=True, slots=True)
class SoakOutcome:
    """What was done, and what was said of it.

    `accusations` are the looks that found any diagnosis but `healthy`, by pool; `events` are the
    exporter's lines, which also have what was said between two looks. `waited_long` counts the
    callers that waited so long for a connection that the traffic was not healthy.
    """

    lasted_s: float
    looks: Mapping[str, int]
    accusations: Mapping[str, Sequence[Look]]
    verdicts: Mapping[str, int]
    events: Sequence[str]
    waited_long: float
    answers: Mapping[str, int]
    cut_off: int
    tally: Mapping[str, int]

    @property
    def summary(self) -> str:
        """Return the numbers in one line."""
        accused = sum(map(len, self.accusations.values()))
        return (
            f"{self.lasted_s:.0f} s: {sum(self.looks.values())} looks at {len(self.looks)} pools,"
            f" {accused} of them not healthy, {len(self.events)} event lines of a diagnosis;"
            f" verdicts {dict(self.verdicts)}; {sum(self.answers.values())} answers,"
            f" {self.cut_off} requests cut off by the client;"
            f" {self.waited_long:.0f} waits of over {CALM_S} s; {dict(self.tally)}"
        )


@dataclass(slots=True)
class Clients:
    """HTTP clients of the app, and what became of their requests."""

    client: httpx.AsyncClient
    answers: Counter[str] = field(default_factory=Counter)
    cut_off: int = 0
    requests: set[asyncio.Task[None]] = field(default_factory=set)

    def send(self, method: str, path: str, patience_s: float = 30.0) -> None:
        """Begin a request, and do not wait for its answer."""
        request = asyncio.create_task(self._ask(method, path, patience_s))
        self.requests.add(request)
        request.add_done_callback(self.requests.discard)

    async def _ask(self, method: str, path: str, patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                answer = await self.client.request(method, path)
        except TimeoutError:
            self.cut_off += 1  # httpx closes the socket
        except httpx.TransportError as exc:
            self.answers[repr(exc)] += 1
        else:
            self.answers[f"{answer.status_code}"] += 1


async def _send_steadily(clients: Clients, method: str, path: str, per_s: float) -> None:
    while True:
        await asyncio.sleep(random.expovariate(per_s))
        clients.send(method, path)


async def _send_bursts(clients: Clients) -> None:
    while True:
        await asyncio.sleep(BURST_EVERY_S)
        for method, path in BURST:
            clients.send(method, path)


async def _go_away(clients: Clients) -> None:
    while True:
        for path in IMPATIENT:
            await asyncio.sleep(IMPATIENT_EVERY_S)
            clients.send("GET", path, patience_s=random.uniform(0.01, 0.25))


async def send_traffic(url: str, length_s: float) -> Clients:
    """Send the requests of healthy clients for so long; return what became of them."""
    # uvicorn closes an idle connection after 5 s, perhaps as the next request is on its way.
    # On a busy machine an idle connection may be closed just when it is used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=url, timeout=60, limits=limits, trust_env=False
    ) as client:
        clients = Clients(client)
        tasks = [
            asyncio.create_task(each)
            for each in (
                *(_send_steadily(clients, *steady) for steady in STEADY),
                _send_bursts(clients),
                _go_away(clients),
            )
        ]
        done, _ = await asyncio.wait(tasks, timeout=length_s, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not done, [task.exception() for task in done]
        await asyncio.gather(*clients.requests)
    return clients


@contextmanager
def a_soak_exporter(server: EmbeddedPostgres, folder: Path) -> Iterator[ExporterProcess]:
    """Yield an exporter at its default settings that sees the server, with the app's tables."""
    for table in ("stock", "account"):
        run_sql(server.dsn, f"CREATE TABLE {table} (id int PRIMARY KEY, amount int NOT NULL)")
        run_sql(
            server.dsn, f"INSERT INTO {table} SELECT id, 0 FROM generate_series(0, {ROWS - 1}) id"
        )
    with an_exporter(folder, {"main": server}) as exporter:
        yield exporter


def play_soak(
    server: EmbeddedPostgres, exporter: ExporterProcess, folder: Path, length_s: float = LENGTH_S
) -> SoakOutcome:
    """Send healthy traffic to an app, and look at its pools meanwhile."""
    port, log = held_port(), folder / "soak.log"
    url = f"http://{HOST}:{port}"
    ways, greenlets = {DIRECT: server.dsn}, ["-m", "scenarios.timed.soak_greenlets"]
    command = ["-m", "uvicorn", "scenarios.timed.soak_app:app", f"--host={HOST}", f"--port={port}"]
    with (
        a_program(command, ways, exporter.otlp, log) as process,
        a_program(greenlets, ways, exporter.otlp, folder / "greenlets.log") as worker,
        Courses(exporter) as courses,
    ):
        assert wait_until(lambda: process.poll() is not None or answers(url)), log.read_text()
        began_s = time.monotonic()
        clients = asyncio.run(send_traffic(url, length_s))
        lasted_s = time.monotonic() - began_s
        assert worker.poll() is None, (folder / "greenlets.log").read_text()
        tally = httpx.get(f"{url}/tally", trust_env=False).json()
        checkouts = counted_by_pool(exporter, catalogue.CHECKOUTS)[GREENLETS]
        tally |= {f"checkouts of {GREENLETS}": checkouts}
        seen = {pool: courses.of(pool) for pool in courses.pools()}
        outcome = SoakOutcome(
            lasted_s,
            looks={pool: len(course.looks) for pool, course in seen.items()},
            accusations={
                pool: others
                for pool, course in seen.items()
                if (others := course.others({Diagnosis.HEALTHY}, 0, math.inf))
            },
            verdicts=courses.verdicts(),
            events=_diagnosis_events(exporter),
            waited_long=_waited_long(exporter),
            answers=clients.answers,
            cut_off=clients.cut_off,
            tally=tally,
        )
    (folder / "soak.txt").write_text(outcome.summary)
    return outcome


def answers(url: str) -> bool:
    """Return whether the app has started."""
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/tally", trust_env=False).is_success
    return False


def _diagnosis_events(exporter: ExporterProcess) -> list[str]:
    lines = exporter.events.splitlines()
    return [line for line in lines if json.loads(line)["event"] == "diagnosis"]


def _waited_long(exporter: ExporterProcess) -> float:
    """Return how many callers waited longer for a connection than is within reason."""
    name, total, calm = "db_client_connection_wait_time_seconds", 0.0, 0.0
    for line in exporter.get("/metrics").text.splitlines():
        value = line.rpartition(" ")[2]
        if line.startswith(f"{name}_count"):
            total += float(value)
        elif line.startswith(f"{name}_bucket") and f'le="{CALM_S}"' in line:
            calm += float(value)
    assert total, "no wait was counted"
    return total - calm


def check_soak(outcome: SoakOutcome) -> None:
    """Assert that healthy traffic was called healthy at every look, and nothing was accused."""
    assert set(outcome.answers) == {"200"}, outcome.answers
    is_calm = outcome.waited_long <= HURT_SHARE * outcome.answers["200"]
    assert is_calm, f"the traffic hurt its callers: {outcome.summary}"
    missing = [what for what in MUST_HAPPEN if not outcome.tally.get(what)]
    assert not missing, missing
    assert set(outcome.looks) == set(POOLS)
    assert not outcome.accusations, f"{outcome.summary}: {outcome.accusations}"
    assert not outcome.events, outcome.events
    assert Verdict.LEAKED not in outcome.verdicts, outcome.verdicts
