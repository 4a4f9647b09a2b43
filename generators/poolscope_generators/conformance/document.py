"""Write docs/conformance.md from what the suite declares and what its runs found.

`make conformance` runs it: `python -m poolscope_generators.conformance.document FOLDER`, with a
folder of results.
"""

import sys
from pathlib import Path

from poolscope_generators.conformance.results import Declared, Run, read_runs

DOCUMENT = Path(__file__).parents[3] / "docs" / "conformance.md"

INTRODUCTION = """\
# What is counted, pool by pool

What happens to a connection, and what poolscope counts for it. Every cell is a test on a real
PostgreSQL behind a proxy that refuses, cuts off and holds connections. In each, before, while and
after it happens:

- `db.client.connection.count` (used and idle) equals what the pool library says of itself, where it
  says anything, and what is open at the server;
- `poolscope.checkouts`, `poolscope.checkins`, the counts of `wait_time` and `use_time`, and
  `poolscope.checkout.failures` equal what the test did;
- nobody is left waiting, and there is no leak but the one in the cell.

*returned* means: counted as an ordinary checkout and its return, and nothing else. *n/a* means that
the situation cannot be, for the reason given. The rest are values of `poolscope.checkout.failures`
(*timeout*, *cancelled*, *error*), `poolscope.connect.errors` (*connect error*),
`poolscope.connections.invalidated` and `.closed`, `poolscope.leaks` (*leak*) and
`poolscope.leaks.recovered`, and `poolscope.blocking_checkouts`.
"""

NOTES = """\
Where a cell may surprise:

- A connection that SQLAlchemy has out while its engine is disposed of is closed by nobody: it is no
  longer part of the pool, and over asyncpg its session stays on the server.
- SQLAlchemy returns a `StaticPool`'s one connection when the first of its users does: of two that
  overlap, each begins a checkout and ends the one before.
- psycopg_pool never gets back the place of a connection that was collected: it stays used.
- asyncpg's pool itself keeps a leaked connection from being collected: it stays out until the end
  of its request or task, or the server, tells.
- In a script without requests, Python 3.11's `asyncio.wait_for` takes a connection in a task of its
  own, which is gone at once: held for 30 s, it counts as an apparent leak (`task_finished`), and as
  recovered when it is returned. `asyncio.timeout` does not.

## Verify

<!-- not run: make test runs the same tests; this writes the page from them -->
```console
$ make conformance
```

runs the suite on every SQLAlchemy named above and writes this page; `make test` fails when the page
differs from what the tests declare.
"""


def table(declared: Declared) -> list[str]:
    """Return the lines of the table."""
    rows = [["Situation", *declared.columns], ["---"] * (len(declared.columns) + 1)]
    rows += [[row.title, *row.cells] for row in declared.rows]
    return [f"| {' | '.join(row)} |" for row in rows]


def ran_on(runs: list[Run]) -> str:
    """Say with which versions the cells passed."""
    alchemies = ", ".join(run.versions["SQLAlchemy"] for run in runs)
    rest = {name: v for name, v in runs[0].versions.items() if name != "SQLAlchemy"}
    others = ", ".join(f"{name} {number}" for name, number in rest.items())
    return f"All cells passed with SQLAlchemy {alchemies} ({others}).\n"


def main() -> None:
    """Write the document; exit with what did not pass."""
    runs = read_runs(Path(sys.argv[1]))
    unproven = sorted({name for run in runs for name in run.missing})
    if unproven or not runs:
        sys.exit(f"the suite did not pass, so there is no table: {unproven or 'no results'}")
    parts = [INTRODUCTION, ran_on(runs), "\n".join(table(runs[0].declared)) + "\n", NOTES]
    DOCUMENT.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
