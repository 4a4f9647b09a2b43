"""Measure what ours costs beside what else there is, and print it: `make bench`."""

import argparse
import logging
import os
import platform
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import memory
from benchmarks.cases import CASES
from benchmarks.method import Cost, compare
from benchmarks.report import Memory, Row, budgets_table, costs_table
from benchmarks.turns import Block, processes
from benchmarks.variants import BARE, CONTRIB, HELD, OTHERS
from poolscope_exporter.demo.postgres_server import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
SQLALCHEMY_2_0 = ROOT / ".venv" / "sqlalchemy-2.0-newest"
BEGIN, END = "<!-- begin of what `make bench` has measured -->", "<!-- end of it -->"
FEWER = 3
"""What has no budget: so many times fewer processes tell it."""


def main() -> None:
    options = _options()
    logging.getLogger("poolscope").disabled = True  # it names many pools alike, and says so
    rng = random.Random(7)  # the order of blocks: the same in every run
    rows: dict[str, Row] = {}
    with EmbeddedPostgres() as postgres:
        for case in CASES:
            if options.only in case:
                rows[case] = _measure(case, postgres.dsn, options, rng)
                sys.stderr.write(f"{case}: {_summary(rows[case])}\n")
    text = "\n".join(_lines(rows, Memory(memory.per_connection(), memory.per_pool()))) + "\n"
    sys.stdout.write(text)
    if options.write is not None:
        before, _, rest = options.write.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        options.write.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--processes", type=int, default=12, help="of each variant, at least (not under 6)"
    )
    parser.add_argument("--rounds", type=int, default=100, help="blocks that each process runs")
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
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    yield f"Python {platform.python_version()}, {versions}; {os.cpu_count()} processors."
    yield ""
    yield from costs_table(rows, [each.name for each in (*HELD, *OTHERS, CONTRIB)])
    yield ""
    yield from budgets_table(rows, used)


if __name__ == "__main__":
    main()
