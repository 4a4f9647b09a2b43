"""The first view of `top`: the table of all pools, and the reasons of the selected one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.terminal.holder_lines import line_evidence
from poolscope_exporter.terminal.live.keyed_table import KeyedTable
from poolscope_exporter.terminal.live.pool_screen import PoolScreen
from poolscope_exporter.terminal.live.watch_screen import WatchScreen
from poolscope_exporter.terminal.pool_lines import (
    ORDER_OF_COLUMN,
    PoolColumn,
    PoolLine,
    pool_cells,
)
from poolscope_exporter.terminal.printable import printable

COLUMNS = tuple(PoolColumn)
REASONS = 3
"""The most reasons of the selected pool that are shown below the table."""


class PoolsScreen(WatchScreen):
    """One line for each pool, process or service."""

    DEFAULT_CSS = """
    #pools { height: 1fr; }
    #note { padding: 0 1; }
    #why { padding: 0 1; height: auto; max-height: 4; }
    #search { display: none; }
    #search.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "next_order", "Sort"),
        Binding("g", "next_grouping", "Group"),
        Binding("v", "next_verdict", "Verdict"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape", "end_search", "All pools", show=False),
    ]
    AUTO_FOCUS = "#pools"

    def body_parts(self) -> Sequence[Widget]:
        """Return the table, the search and the reasons."""
        return (
            KeyedTable(COLUMNS, id="pools", classes="answer"),
            Static(id="note", markup=False),
            Static(id="why", markup=False, classes="answer"),
            Input(id="search", placeholder="text in service, pool, process or reason"),
        )

    async def show_answer(self) -> None:
        """Show the lines of the last answer."""
        await super().show_answer()
        state, rows = self.watch_state, {}
        for line in state.shown_lines():
            cells = pool_cells(line, state.last_minute(line.key))
            rows[line.key] = [cells[column] for column in COLUMNS]
        self.query_one(KeyedTable).show_rows(rows)
        self.query_one("#note", Static).update(state.note_line())
        self._show_why()

    def selected_line(self) -> PoolLine | None:
        """Return the line under the cursor."""
        key = self.query_one(KeyedTable).selected_key
        return None if key is None else self.watch_state.find_line(key)

    def selected_pools(self) -> Sequence[ServicePoolState]:
        """Return the pools of the line under the cursor."""
        line = self.selected_line()
        return () if line is None else line.pools

    def on_data_table_row_highlighted(self) -> None:
        """Show the reasons of the line under the cursor."""
        self._show_why()

    def on_data_table_row_selected(self) -> None:
        """Open the line under the cursor."""
        line = self.selected_line()
        if line is not None:
            self.app.push_screen(PoolScreen(self.watch_state, self.source, line.key))

    async def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column, if it has an order."""
        order = ORDER_OF_COLUMN.get(COLUMNS[event.column_index])
        if order is not None:
            choice = self.watch_state.choice
            self.watch_state.choice = replace(choice, order=order)
            await self.show_answer()

    async def on_input_changed(self, event: Input.Changed) -> None:
        """Show the pools with this text."""
        self.watch_state.choice = replace(self.watch_state.choice, text=event.value)
        await self.show_answer()

    def on_input_submitted(self) -> None:
        """Keep the text, and return to the table."""
        self._leave_search()

    async def action_next_order(self) -> None:
        """Sort by the next number."""
        self.watch_state.next_order()
        await self.show_answer()

    async def action_next_grouping(self) -> None:
        """Group by the next unit."""
        self.watch_state.next_grouping()
        await self.show_answer()

    async def action_next_verdict(self) -> None:
        """Select the next diagnosis or verdict."""
        self.watch_state.next_verdict()
        await self.show_answer()

    def action_search(self) -> None:
        """Open the search."""
        search = self.query_one("#search", Input)
        search.add_class("shown")
        search.focus()

    async def action_end_search(self) -> None:
        """End the search and the filter, and show all pools."""
        self.query_one("#search", Input).value = ""
        self.watch_state.choice = replace(self.watch_state.choice, text="", verdict=None)
        self._leave_search()
        await self.show_answer()

    def blocked_pools(self) -> Sequence[ServicePoolState]:
        """Return none: the key opens all lock queues."""
        return ()

    def evidence_now(self) -> str:
        """Return the evidence on the selected line."""
        reading, line = self.watch_state.reading, self.selected_line()
        return "" if reading is None or line is None else line_evidence(reading, line)

    def _leave_search(self) -> None:
        self.query_one("#search", Input).remove_class("shown")
        self.query_one(KeyedTable).focus()

    def _show_why(self) -> None:
        line = self.selected_line()
        reasons = () if line is None else line.state.worst.reasons[:REASONS]
        self.query_one("#why", Static).update("\n".join(map(printable, reasons)))
