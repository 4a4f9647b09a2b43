"""The table of the matrix in docs/compatibility.md: one line for each row."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolscope_generators.matrix.rows import Row

DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"
BEGIN, END = "<!-- matrix: written by make test-matrix -->", "<!-- /matrix -->"
HEAD = "| row | counterpart | version | tests | result |\n|---|---|---|---|---|\n"
TESTS_BEGIN, TESTS_END = (
    "<!-- tests of the rows: written by make test-matrix -->",
    "<!-- /tests -->",
)
TESTS_HEAD = "| counterpart | the tests assert | selected | a whole run adds |\n|---|---|---|---|\n"
NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True)
class Line:
    """The version, the scope of the tests and the result of a row, as the table has them."""

    version: str
    scope: str
    result: str


def update(text: str, rows: Sequence[Row], found: Mapping[str, Line]) -> str:
    """Return the document with the lines that were found; other rows keep their lines."""
    lines = {**read_lines(text), **found}
    text = _between(text, BEGIN, END, HEAD + _body(rows, lines))
    return _between(text, TESTS_BEGIN, TESTS_END, TESTS_HEAD + _tests(rows))


def read_lines(text: str) -> dict[str, Line]:
    """Return the lines of the table by the names of their rows."""
    table = text.split(BEGIN, 1)[1].split(END, 1)[0]
    cells = re.findall(r"(?m)^\| `([^`]+)` \| [^|]* \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", table)
    return {name: Line(version, scope, result) for name, version, scope, result in cells}


def _between(text: str, begin: str, end: str, content: str) -> str:
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n{content}{end}{after}"


def _body(rows: Sequence[Row], lines: Mapping[str, Line]) -> str:
    body = ""
    for row in rows:
        line = lines.get(row.name, Line("", "", NOT_RUN))
        result = line.result.replace("|", "/")
        cells = (f"`{row.name}`", row.counterpart, line.version, line.scope, result)
        body += f"| {' | '.join(cells)} |\n"
    return body


def _tests(rows: Sequence[Row]) -> str:
    """Return the lines of the tests, one for each counterpart and selection."""
    groups = dict.fromkeys((row.counterpart, row.selection) for row in rows)
    lines = (
        (name, each.asserts, _paths(each.selected), _paths(each.more))
        for name, each in groups
        if each.selected
    )
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _paths(paths: Sequence[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths) or "nothing"
