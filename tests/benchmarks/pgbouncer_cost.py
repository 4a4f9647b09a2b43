"""Measure what a look at a PgBouncer costs it and us: `python -m benchmarks.pgbouncer_cost`."""

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg

from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from poolscope_exporter.pgbouncer.console import PgBouncerConsole
from poolscope_exporter.polling.dsn import parse_console_dsn
from poolscope_generators.incident.pgbouncer import PgBouncer

CLIENTS = (100, 1000, 2000)
ROUNDS = 50


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process so far (Linux only)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


async def measure(what: Callable[[], Awaitable[object]], pid: int) -> str:
    """Return the cost of one call, of many: the bouncer's CPU, ours, and how long it took."""
    took_s = []
    bouncer_ms, ours_s = cpu_ms(pid), time.process_time()
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        await what()
        took_s.append(time.perf_counter() - started_s)
    bouncer_ms, ours_s = cpu_ms(pid) - bouncer_ms, time.process_time() - ours_s
    found = (bouncer_ms / ROUNDS, 1e3 * ours_s / ROUNDS, 1e3 * statistics.median(took_s))
    return " | ".join(f"{each:.2f} ms" for each in found)


async def measure_with(clients: int, server: EmbeddedPostgres) -> None:
    """Print the rows of the table for so many clients."""
    with PgBouncer(server, max_client_conn=clients + 10) as bouncer, contextlib.ExitStack() as apps:
        for _ in range(clients):
            apps.enter_context(psycopg.connect(bouncer.dsn, autocommit=True)).execute("SELECT 1")
        console = PgBouncerConsole(parse_console_dsn(bouncer.console))
        await console.connect()
        for name, what in (("SHOW SOCKETS", console.read_sockets), ("the settings", console.facts)):
            cost = await measure(what, bouncer.pid)
            sys.stdout.write(f"| {clients} | {name} | {cost} |\n")
        await console.close()


def main() -> None:
    """Print the table."""
    sys.stdout.write("| clients | asked | CPU of the bouncer | CPU of the exporter | time |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    with EmbeddedPostgres() as server:
        for clients in CLIENTS:
            asyncio.run(measure_with(clients, server))


if __name__ == "__main__":
    main()
