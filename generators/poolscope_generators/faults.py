"""Write docs/faults.md from what each fault did to the exporter, as measured.

`make faults` runs the tests and then `python -m poolscope_generators.faults FILE`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"

INTRODUCTION = """\
# What the exporter survives

See how long the exporter is blind after a fault, and what it shows meanwhile. Each row is a test
on real PostgreSQL servers (`tests/integration/exporter/test_faults.py` and `test_exhaustion.py`).
The exporter polls every 0.25 s while an app holds one connection.

- *Blind* is the longest time between two successful polls, as measured in one run. Without a
  fault it is one interval.
- *Meanwhile* is the verdict of the held connection after the exporter has detected that the
  server does not answer.
- *Afterwards* is the verdict in the end.

In every row except that of the killed exporter, the tests assert two facts:

- After the exporter has detected that the server does not answer, it shows no link, count, limit
  or headroom.
- It detects this at most 7 s after the last successful poll. These are one interval, 3 s for a
  query, and the delay of a busy machine.

In the rows of a full server, the tests also count the exporter's sessions there after each
reconnect: one.

If a server does not answer, the exporter tries again after 1 s. The pause doubles up to two poll
intervals, and is never longer than 30 s. Each pause varies by a quarter. After a server recovers,
the exporter needs at most one pause to find it again.
"""

NOTES = """
## Verify

<!-- not run: make test runs the same tests; this writes their measured seconds into the page -->
```console
$ make faults
```

This command runs the tests and writes this page. The seconds differ a little from run to run.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table."""

    name: str
    blind_s: float
    missed: dict[str, int]
    meanwhile: list[str]
    afterwards: str


def table(faults: list[Fault]) -> list[str]:
    """Return the lines of the table."""
    rows = [["Fault", "Blind", "Polls missed", "Meanwhile", "Afterwards"], ["---"] * 5]
    for fault in faults:
        missed = ", ".join(f"{count} {reason}" for reason, count in fault.missed.items())
        meanwhile = ", ".join(fault.meanwhile)
        cells = [fault.name, f"{fault.blind_s:.1f} s", missed or "none", meanwhile or "as before"]
        rows.append([*cells, fault.afterwards])
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> None:
    """Write the document from a file of results."""
    faults = [Fault(**told) for told in json.loads(Path(sys.argv[1]).read_text())]
    DOCUMENT.write_text("\n".join([INTRODUCTION, *table(faults), NOTES]))


if __name__ == "__main__":
    main()
