"""Measure what a poll costs the server: CPU of its backend, beside what other exporters ask."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from statistics import median

import psycopg

import poolscope_exporter.postgres
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres

SESSIONS = (200, 1000, 2000)
SUSPECTS = 50
BUDGET_MS = 1.8
"""For canary and suspects, at the most sessions."""

ROUNDS = 60
TICKS = 5
"""Polls between two readings of the backend's CPU time."""

GROUPED = b"""
SELECT datname, state, usename, application_name, backend_type, wait_event_type, wait_event,
    count(*), max(extract(epoch FROM now() - xact_start))::float8
FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
"""How postgres_exporter groups sessions; its join with a list of states costs next to nothing."""

OURS, THEIRS, ALL = "ours: canary and 50 suspects", "postgres_exporter's grouping", "the full list"
SURVEY = "ours, every fifth second: all by state"

Costs = Mapping[int, Mapping[str, float]]
"""Milliseconds of the backend's CPU time per poll: by number of sessions, then by query."""

Poll = Callable[[], object]


def measure(major: int = 18) -> Costs:
    """Return the median over interleaved rounds."""
    settings = {"max_connections": str(max(SESSIONS) + 50), "shared_buffers": "64MB"}
    with EmbeddedPostgres(major=major, settings=settings) as server, ExitStack() as stack:  # type: ignore[arg-type]
        pids: list[int] = []
        costs: dict[int, Mapping[str, float]] = {}
        for count in SESSIONS:
            while len(pids) < count:
                session = stack.enter_context(psycopg.connect(server.dsn, autocommit=True))
                session.execute("SELECT 1")
                pids.append(session.info.backend_pid)
            costs[count] = _costs(server.dsn, pids)
    return costs


def _costs(dsn: str, pids: Sequence[int]) -> Mapping[str, float]:
    rng = random.Random(7)  # the same suspects in every run
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET work_mem = '16MB'")
        polls = _polls(connection, lambda: rng.sample(pids, SUSPECTS))
        cpu = Path(f"/proc/{connection.info.backend_pid}/schedstat")
        found: dict[str, list[float]] = {name: [] for name in polls}
        for _ in range(ROUNDS):
            for name in rng.sample(list(polls), len(polls)):
                polls[name]()  # what the poll before left in the caches is not this one's
                before_ns = _ran_ns(cpu)
                for _ in range(TICKS):
                    polls[name]()
                found[name].append((_ran_ns(cpu) - before_ns) / TICKS / 1e6)
    return {name: median(each) for name, each in found.items()}


def _polls(
    connection: psycopg.Connection[tuple[object, ...]], suspects: Callable[[], list[int]]
) -> dict[str, Poll]:
    def ask(statement: bytes, **parameters: object) -> object:
        return connection.execute(statement, parameters or None, prepare=True).fetchall()

    ours = {name: _sql(name) for name in ("canary", "suspects", "connections")}
    return {
        OURS: lambda: (ask(ours["canary"]), ask(ours["suspects"], pids=suspects())),
        SURVEY: lambda: ask(ours["connections"]),
        THEIRS: lambda: ask(GROUPED),
        ALL: lambda: ask(b"SELECT * FROM pg_stat_activity"),
    }


def _sql(name: str) -> bytes:
    return resources.files(poolscope_exporter.postgres).joinpath("sql", f"{name}.sql").read_bytes()


def _ran_ns(schedstat: Path) -> int:
    return int(schedstat.read_text().split()[0])


def table(costs: Costs) -> Iterator[str]:
    """Yield lines of Markdown, and whether the budget is kept."""
    yield f"| CPU of the server per poll | {' | '.join(f'{n:,} sessions' for n in costs)} |"
    yield f"|---|{'---:|' * len(costs)}"
    for name in next(iter(costs.values())):
        yield f"| {name} | {' | '.join(f'{found[name]:.2f} ms' for found in costs.values())} |"
    measured = costs[max(costs)][OURS]
    verdict = "within" if measured <= BUDGET_MS else "**over**"
    yield ""
    yield (
        f"Budget at {max(costs):,} sessions: ≤ {BUDGET_MS:g} ms; measured {measured:.2f} ms:"
        f" {verdict}."
    )
