"""The table of docs/compatibility.md has a line for each row of the matrix, and no failure."""

from poolscope_generators.matrix.document import DOCUMENT, read_lines, update
from poolscope_generators.matrix.rows import ROWS


def test_the_table_is_as_the_rows_are() -> None:
    text = DOCUMENT.read_text()

    assert update(text, ROWS, {}) == text, "run `make test-matrix ROWS=…` for the row that changed"


def test_no_version_of_the_promise_fails() -> None:
    lines = read_lines(DOCUMENT.read_text())
    promised = [row.name for row in ROWS if row.is_promised]

    assert [name for name in promised if " failed" in lines[name].result] == []
