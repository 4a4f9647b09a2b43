"""The table of docs/conformance.md, as the suite declares it."""

from conformance.column import Column
from conformance.situation import Situation
from conformance.table import COLUMNS, SITUATIONS, absent, cell_name, expected
from poolscope_generators.conformance.results import Declared, Row


def declared() -> Declared:
    """Return every row with the text of its cells, and what a run must prove."""
    rows = (Row(row.title, tuple(_cell(row, column) for column in COLUMNS)) for row in SITUATIONS)
    cells = ((row, column) for row in SITUATIONS for column in COLUMNS)
    wanted = (cell_name(row, column) for row, column in cells if absent(row, column) is None)
    return Declared(tuple(column.title for column in COLUMNS), tuple(rows), tuple(wanted))


def _cell(situation: Situation, column: Column) -> str:
    why = absent(situation, column)
    return expected(situation, column) if why is None else f"n/a: {why}"
