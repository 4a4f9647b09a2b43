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

Each row is a test on real PostgreSQL servers (`tests/integration/exporter/test_faults.py` and
`test_exhaustion.py`), polled every 0.25 s while an application holds one connection.

*Blind* is the longest time between two polls that succeeded, as measured in one run; without any
fault it is one interval. *Meanwhile* is what was shown of the held connection while the server was
known to be silent, *afterwards* what was shown in the end.

In every row but that of the killed exporter, the tests assert that no link, count, limit or
headroom is shown while the server is known to be silent, and that this is known 7 s after the last
good poll at the latest (an interval, the 3 s that a query may take, and the pace of a busy
machine). In the rows of a full server they count the exporter's sessions there, after each
reconnect: one.

Between two attempts on a server that does not answer lie 1 s at first and then at most two poll
intervals or 30 s, whichever is less, give or take a quarter: so long it takes, at the longest, to
find a server again that has recovered.
"""

NOTES = """
## Verify

<!-- not run: make test runs the same tests; this writes their measured seconds into the page -->
```console
$ make faults
```

runs the tests and writes this page; the seconds differ a little from run to run.
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
