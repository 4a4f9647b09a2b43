"""The table of the matrix in docs/compatibility.md: one line for each row."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolscope_generators.matrix.rows import Row

DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"
BEGIN, END = "<!-- matrix: written by make test-matrix -->", "<!-- /matrix -->"
HEAD = "| row | counterpart | version | result |\n|---|---|---|---|\n"
NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True)
class Line:
    """The version and the result of a row, as the table has them."""

    version: str
    result: str


def update(text: str, rows: Sequence[Row], found: Mapping[str, Line]) -> str:
    """Return the document with the lines that were found; other rows keep their lines."""
    before, rest = text.split(BEGIN, 1)
    table, after = rest.split(END, 1)
    lines = {**read_lines(table), **found}
    return f"{before}{BEGIN}\n{HEAD}{_body(rows, lines)}{END}{after}"


def read_lines(table: str) -> dict[str, Line]:
    """Return the lines of a table by the names of their rows."""
    cells = re.findall(r"(?m)^\| `([^`]+)` \| [^|]* \| ([^|]*) \| ([^|]*) \|$", table)
    return {name: Line(version, result) for name, version, result in cells}


def _body(rows: Sequence[Row], lines: Mapping[str, Line]) -> str:
    body = ""
    for row in rows:
        line = lines.get(row.name, Line("", NOT_RUN))
        cells = (f"`{row.name}`", row.counterpart, line.version, line.result.replace("|", "/"))
        body += f"| {' | '.join(cells)} |\n"
    return body
