"""Measure what ours costs beside what else there is, and print it: `make bench`."""

import argparse
import gc
import json
import logging
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks import memory
from benchmarks.cases import LOCAL, ON_POSTGRES, Case
from benchmarks.method import Cost, compare
from benchmarks.report import Memory, Row, budgets_table, costs_table
from benchmarks.variants import (
    Contrib,
    Control,
    NaiveOpenTelemetry,
    Ours,
    TwoNoOpListeners,
    Variant,
)
from poolscope.requests import CURRENT, Request
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres
from support.postgres import run_sql

VARIANTS: tuple[Variant, ...] = (Control(), TwoNoOpListeners(), Ours(), NaiveOpenTelemetry())
ROOT = Path(__file__).parents[2]
SQLALCHEMY_2_0 = ROOT / ".venv" / "sqlalchemy-2.0-newest"
BENCH = (sys.executable, "-m", "benchmarks.run")
BEGIN, END = "<!-- begin of what `make bench` has measured -->", "<!-- end of it -->"

Rows = Mapping[str, Row]


def main() -> None:
    options = _options()
    # A new instrumentation per block finds the engines of earlier cases, and says so.
    logging.getLogger("poolscope").disabled = True
    variants = (Contrib(),) if options.contrib else VARIANTS
    with EmbeddedPostgres() as postgres:
        rows: Rows = dict(_measure(postgres.dsn, variants, options.rounds, options.only))
        if options.contrib:
            sys.stdout.write(json.dumps(_plain(rows)))
            return
        contrib = _contrib(options.rounds, options.only)
        rows = {case: {**row, **contrib.get(case, {})} for case, row in rows.items()}
        text = "\n".join(_lines(rows, Memory(memory.per_connection(), memory.per_pool()))) + "\n"
    sys.stdout.write(text)
    if options.write is not None:
        before, _, rest = options.write.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        options.write.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="how often, at least")
    parser.add_argument("--only", default="", help="a part of the name of the cases to measure")
    parser.add_argument("--write", type=Path, help="a document to put the tables into")
    parser.add_argument("--contrib", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(
    dsn: str, variants: Iterable[Variant], rounds: int, only: str
) -> Iterator[tuple[str, dict[str, Cost | str]]]:
    _use_one_processor(0, [os.getpid()])
    CURRENT.set(Request(None, route="/orders/{order_id}"))
    gc.freeze()  # what is loaded by now is not what a collection should look at
    rng = random.Random(7)  # the order of blocks: the same in every run
    for make in (*LOCAL, *(_on(dsn, make) for make in ON_POSTGRES)):
        with make() as case:
            if only not in case.name:
                continue
            case.time_s(1)
            _use_one_processor(1, _backends(dsn))
            refusals = {v.name: reason for v in variants if (reason := v.refuses(case))}
            wanted = [variant for variant in variants if variant.name not in refusals]
            costs = compare(case, wanted, rounds, rng) if wanted else {}
            yield case.name, {**refusals, **costs}


def _on(
    dsn: str, make: Callable[[str], AbstractContextManager[Case]]
) -> Callable[[], AbstractContextManager[Case]]:
    return lambda: make(dsn)


def _backends(dsn: str) -> list[int]:
    rows = run_sql(dsn, "select pid from pg_stat_activity where backend_type = 'client backend'")
    return [pid for (pid,) in rows]


def _use_one_processor(number: int, pids: Iterable[int]) -> None:
    """Keep client and server apart: where they land by chance makes a factor of two."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) <= number:
        return
    for pid in pids:
        try:
            os.sched_setaffinity(pid, {number})
        except OSError:
            continue  # it has ended, or is another account's


def _contrib(rounds: int, only: str) -> Rows:
    """Measure OpenTelemetry's instrumentation in a process of its own, on a SQLAlchemy it takes."""
    if not SQLALCHEMY_2_0.exists():
        sys.stderr.write(f"no {SQLALCHEMY_2_0.name}: run `make test-older-sqlalchemy` once\n")
        return {}
    path = os.pathsep.join([str(SQLALCHEMY_2_0), str(ROOT / "tests")])
    done = subprocess.run(
        [*BENCH, "--contrib", f"--rounds={rounds}", f"--only={only}"],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return {
        case: {name: Cost(**cost) if isinstance(cost, dict) else cost for name, cost in row.items()}
        for case, row in json.loads(done.stdout).items()
    }


def _plain(rows: Rows) -> dict[str, dict[str, object]]:
    return {
        case: {name: asdict(c) if isinstance(c, Cost) else c for name, c in row.items()}
        for case, row in rows.items()
    }


def _lines(rows: Rows, used: Memory) -> Iterator[str]:
    names = ("sqlalchemy", "asyncpg", "psycopg", "psycopg-pool", "opentelemetry-sdk")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    yield f"Python {platform.python_version()}, {versions}; {os.cpu_count()} processors."
    yield ""
    yield from costs_table(rows, [*(variant.name for variant in VARIANTS), Contrib.name])
    yield ""
    yield from budgets_table(rows, used)


if __name__ == "__main__":
    main()
