"""A table that keeps its cursor on the same row while its rows change."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from textual import on
from textual.coordinate import Coordinate
from textual.events import Mount
from textual.widgets import DataTable
from textual.widgets.data_table import RowDoesNotExist

from poolscope_exporter.terminal.cells import TextCell


class KeyedTable(DataTable[Text]):
    """A table of rows with keys; a click on a title or Enter on a row is an event of DataTable."""

    def __init__(self, titles: Sequence[str], **options: Any) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, **options)
        self._titles = titles
        self._shown_keys: list[str] = []

    @on(Mount)
    def add_titles(self) -> None:
        """Add the columns."""
        for title in self._titles:
            self.add_column(title, key=title)

    @property
    def selected_key(self) -> str | None:
        """Return the key of the row under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(Coordinate(self.cursor_row, 0)).row_key.value

    def show_rows(self, rows: Mapping[str, Sequence[TextCell]]) -> None:
        """Show these rows; the cursor stays on its row, if that is still there."""
        keys = list(rows)
        if keys == self._shown_keys:
            for key, cells in rows.items():
                for title, cell in zip(self._titles, cells, strict=True):
                    self.update_cell(key, title, _styled(cell), update_width=True)
            return
        selected, top = self.selected_key, self.scroll_y
        self.clear()
        for key, cells in rows.items():
            self.add_row(*map(_styled, cells), key=key)
        self._shown_keys = keys
        self._select(selected)
        self.scroll_to(y=top, animate=False)

    def _select(self, key: str | None) -> None:
        if key is None:
            return
        try:
            index = self.get_row_index(key)
        except RowDoesNotExist:
            return
        self.move_cursor(row=index, scroll=False)


def _styled(cell: TextCell) -> Text:
    return Text(cell.text, style=cell.style, justify="right" if cell.is_number else "left")
