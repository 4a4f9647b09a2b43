"""The incident that a larger pool would make worse: the database has no CPU left."""

import asyncio
import os
import time
from contextlib import ExitStack
from pathlib import Path

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_generators.scenarios.timed import Case, CaseOutcome
from scenarios.timed.cases import PLAYED_S, Clients, a_client, an_app, outcome_of
from scenarios.timed.courses import Courses
from scenarios.timed.stage import an_exporter

SATURATED = Case(
    "39",
    "queries_that_compute",
    "48 clients run queries that compute, on 8 connections; the server's CPUs are all busy",
    Diagnosis.SERVER_SLOW,
    says="sessions compute on the server's",
)
CLIENTS = 48


def play_saturated(server: EmbeddedPostgres, folder: Path, patience: float) -> CaseOutcome:
    """Play it on a server of its own, with the number of its CPUs in the exporter's settings."""
    with ExitStack() as stack:
        cpus = float(os.cpu_count() or 1)
        exporter = stack.enter_context(an_exporter(folder, {"main": server}, cpus=cpus))
        port = stack.enter_context(an_app(exporter, {"direct": server.dsn}, folder))
        courses = stack.enter_context(Courses(exporter))
        began_s = time.monotonic()
        asyncio.run(_play(server, port))
        return outcome_of(SATURATED, courses.of(SATURATED.name), began_s, patience)


async def _play(server: EmbeddedPostgres, port: int) -> None:
    async with a_client() as client:
        clients = Clients(client, (port,), server)

        async def ask() -> None:
            while True:
                await clients.get(f"/{SATURATED.name}")

        tasks = [asyncio.create_task(ask()) for _ in range(CLIENTS)]
        await asyncio.sleep(PLAYED_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
