"""Print a table as plain text, for a ticket or a terminal without colours."""

import unicodedata
from collections.abc import Iterator, Sequence

from poolscope_exporter.terminal.cells import TextCell

GAP = "  "


def table_lines(titles: Sequence[str], rows: Sequence[Sequence[TextCell]]) -> Iterator[str]:
    """Yield the titles and the rows; each column is as wide as its widest cell."""
    sides = [any(row[index].is_number for row in rows) for index in range(len(titles))]
    texts = [list(titles), *([cell.text for cell in row] for row in rows)]
    widths = [max(map(text_width, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = zip(row, widths, sides, strict=True)
        yield GAP.join(_padded(*cell) for cell in cells).rstrip()


def text_width(text: str) -> int:
    """Return the columns that a terminal needs: two for a wide character, none for a mark."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _padded(text: str, width: int, is_right: bool) -> str:
    space = " " * (width - text_width(text))
    return space + text if is_right else text + space
