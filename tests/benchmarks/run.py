"""Measure what ours costs beside what else there is, and print it: `make bench`."""

import argparse
import logging
import os
import platform
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import loop_watch, memory
from benchmarks.cases import CASES
from benchmarks.loop_watch import IdleCost
from benchmarks.method import Cost, compare
from benchmarks.report import Memory, Row, budgets_table, costs_table, idle_table
from benchmarks.turns import Block, processes
from benchmarks.variants import BARE, CONTRIB, CONTROL, HELD, NO_LOOKS, OTHERS, OURS
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
SQLALCHEMY_2_0 = ROOT / ".venv" / "sqlalchemy-2.0-newest"
BEGIN, END = "<!-- begin of what `make bench` has measured -->", "<!-- end of it -->"
BEGIN_IDLE = "<!-- begin of what `make bench` has measured of idle processes -->"
BEGIN_LOOKS = "<!-- begin of what `make bench` has measured of looks -->"
LOOKS = {f"looks, {case}": case for case in ("psycopg, SELECT 1", "FastAPI endpoint, in process")}
"""The cases that are measured with looks and without, by the name of the measurement."""

FEWER = 3
"""What has no budget: so many times fewer processes tell it."""


def main() -> None:
    options = _options()
    logging.getLogger("poolscope").disabled = True  # it names many pools alike, and says so
    rng = random.Random(7)  # the order of blocks: the same in every run
    if rows := _costs(options, rng):
        used = Memory(memory.per_connection(), memory.per_pool())
        _report(options, BEGIN, _lines(rows, used))
    if looks := _look_costs(options, rng):
        columns = [CONTROL.name, NO_LOOKS.name, OURS.name]
        _report(options, BEGIN_LOOKS, [_versions(), _load(), "", *costs_table(looks, columns)])
    if idle := _idle_costs(options, rng):
        _report(options, BEGIN_IDLE, [_versions(), "", *idle_table(idle)])


def _report(options: argparse.Namespace, begin: str, lines: Iterable[str]) -> None:
    """Print a part, and write it into the document if that is wanted."""
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.write is not None:
        before, _, rest = options.write.read_text().partition(begin)
        after = rest.partition(END)[2]
        options.write.write_text(f"{before}{begin}\n\n{text}\n{END}{after}")


def _costs(options: argparse.Namespace, rng: random.Random) -> dict[str, Row]:
    """Measure the cases that are wanted, on a PostgreSQL."""
    wanted = [case for case in CASES if options.only in case]
    rows: dict[str, Row] = {}
    if wanted:
        with EmbeddedPostgres() as postgres:
            for case in wanted:
                rows[case] = _measure(case, postgres.dsn, options, rng)
                sys.stderr.write(f"{case}: {_summary(rows[case])}\n")
    return rows


def _look_costs(options: argparse.Namespace, rng: random.Random) -> dict[str, Row]:
    """Measure the cases that are wanted with looks and without, in turns."""
    wanted = {name: case for name, case in LOOKS.items() if options.only in name}
    variants = [CONTROL.name, NO_LOOKS.name, OURS.name]
    rows: dict[str, Row] = {}
    if wanted:
        with EmbeddedPostgres() as postgres:
            for name, case in wanted.items():
                rows[case] = _against_bare(case, postgres.dsn, variants, options, rng)
                sys.stderr.write(f"{name}: {_summary(rows[case])}\n")
    return rows


def _load() -> str:
    """Return how many other programs wanted a processor."""
    return f"Load of the machine: {', '.join(f'{each:.1f}' for each in os.getloadavg())}."


def _idle_costs(options: argparse.Namespace, rng: random.Random) -> dict[str, IdleCost]:
    """Measure the loop watch on the event loops that are wanted, by their names."""
    wanted = [each for name, each in loop_watch.NAMES.items() if options.only in name]
    return {
        each: loop_watch.measure(each, options.processes // 2, options.windows, rng)
        for each in wanted
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--processes", type=int, default=12, help="of each variant, at least (not under 6)"
    )
    parser.add_argument("--rounds", type=int, default=100, help="blocks that each process runs")
    parser.add_argument(
        "--windows", type=int, default=6, help="of 5 s, in which idle processes are measured"
    )
    parser.add_argument("--only", default="", help="a part of the name of the cases to measure")
    parser.add_argument("--write", type=Path, help="a document to put the tables into")
    options = parser.parse_args()
    if options.processes < 2 * FEWER:
        parser.error(f"--processes must be at least {2 * FEWER}: their spread is the error")
    return options


def _measure(case: str, dsn: str, options: argparse.Namespace, rng: random.Random) -> Row:
    held, others = ([each.name for each in variants] for variants in (HELD, OTHERS))
    return {
        **_against_bare(case, dsn, held, options, rng),
        **_against_bare(case, dsn, others, options, rng, fewer=FEWER),
        **_contrib(case, dsn, options, rng),
    }


def _against_bare(  # noqa: PLR0917 - one comparison takes all of it
    case: str,
    dsn: str,
    variants: list[str],
    options: argparse.Namespace,
    rng: random.Random,
    path: Mapping[str, str] | None = None,
    fewer: int = 1,
) -> Row:
    refusals: dict[str, str] = {}

    @contextmanager
    def begin() -> Iterator[Mapping[str, Block]]:
        wanted = [BARE.name, *(name for name in variants if name not in refusals)]
        with processes(case, wanted, dsn, path or {}) as (blocks, refused):
            refusals.update(refused)
            yield blocks

    return {**compare(begin, options.rounds, options.processes // fewer, rng), **refusals}


def _contrib(case: str, dsn: str, options: argparse.Namespace, rng: random.Random) -> Row:
    """Measure OpenTelemetry's instrumentation on a SQLAlchemy that it takes, against bare there."""
    if not SQLALCHEMY_2_0.exists():
        sys.stderr.write(f"no {SQLALCHEMY_2_0.name}: run `make test-older-sqlalchemy` once\n")
        return {}
    path = {"PYTHONPATH": os.pathsep.join([str(SQLALCHEMY_2_0), str(ROOT / "tests")])}
    return _against_bare(case, dsn, [CONTRIB.name], options, rng, path, FEWER)


def _summary(row: Row) -> str:
    costs = ((name, cost) for name, cost in row.items() if isinstance(cost, Cost))
    return ", ".join(f"{name} {c.ratio - 1:+.1%} ± {c.ratio_error:.1%}" for name, c in costs)


def _lines(rows: Mapping[str, Row], used: Memory) -> Iterator[str]:
    names = ("sqlalchemy", "asyncpg", "psycopg", "psycopg-pool", "opentelemetry-sdk")
    yield _versions(*names)
    yield ""
    yield from costs_table(rows, [each.name for each in (*HELD, *OTHERS, CONTRIB)])
    yield ""
    yield from budgets_table(rows, used)


def _versions(*distributions: str) -> str:
    versions = [f"{name} {version(name)}" for name in distributions]
    python = f"Python {platform.python_version()}"
    return f"{', '.join([python, *versions])}; {os.cpu_count()} processors."


if __name__ == "__main__":
    main()
