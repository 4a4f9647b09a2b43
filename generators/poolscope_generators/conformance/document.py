"""Write docs/conformance.md from what the suite declares and what its runs found.

`make conformance` runs it: `python -m poolscope_generators.conformance.document FOLDER`, with a
folder of results.
"""

import sys
from pathlib import Path

from poolscope_generators.conformance.results import Declared, Run, read_runs

DOCUMENT = Path(__file__).parents[3] / "docs" / "conformance.md"

INTRODUCTION = """\
# The counts of each pool

Look up here how poolscope counts each situation of a connection, for the pool class that you use.
Every cell is a test on a real PostgreSQL. A proxy in front of it refuses, cuts off and holds
connections. Before, during and after each situation, the test asserts:

- `db.client.connection.count` (used and idle) equals the numbers of the pool library, if it has
  any, and the sessions that are open at the server.
- `poolscope.checkouts`, `poolscope.checkins`, the counts of `wait_time` and `use_time`, and
  `poolscope.checkout.failures` equal the actions of the test.
- No caller waits in the end, and there is no leak but the one in the cell.

*returned* means that only an ordinary checkout and its return are counted. *n/a* means that the
situation is impossible, for the reason given. The other words are values of these metrics:

- *timeout*, *cancelled*, *error*: `poolscope.checkout.failures`
- *connect error*: `poolscope.connect.errors`
- *invalidated*: `poolscope.connections.invalidated`
- *closed*: `poolscope.connections.closed`
- *leak*, *recovered*: `poolscope.leaks`, `poolscope.leaks.recovered`
- *shared*: `poolscope.shared_connections`
- *blocking checkout*: `poolscope.blocking_checkouts`
"""

NOTES = """\
Cells that may surprise you:

- If you dispose of a SQLAlchemy engine while a connection is checked out, nothing closes that
  connection. It is no longer part of the pool. Over asyncpg, its session stays on the server.
- SQLAlchemy returns the one connection of a `StaticPool` when the first of its users returns it. If
  two users overlap, each begins a checkout and ends the one before.
- psycopg_pool never gets back the place of a connection that was garbage-collected: it stays used.
- asyncpg's own pool prevents the garbage collection of a leaked connection. It stays checked out.
  The end of its request or task, or the server, shows the leak.
- In a script without requests, Python 3.11's `asyncio.wait_for` takes a connection in a separate
  task, which ends at once. If you hold the connection for 30 s, it counts as an apparent leak
  (`task_finished`). When you return it, it counts as recovered. `asyncio.timeout` uses no other
  task.

## Verify

<!-- not run: make test runs the same tests; this writes the page from them -->
```console
$ make conformance
```

This command runs the suite on every SQLAlchemy named above and writes this page. If the page
differs from the declarations in the tests, `make test` fails.
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
