"""The view of one pool in `top`: its holders in groups, and its waiting callers."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.core.judging.overview.waiting_callers import merged_waiters
from poolscope_exporter.terminal.cells import duration_cell
from poolscope_exporter.terminal.holder_lines import (
    HolderColumn,
    HolderLine,
    WaiterColumn,
    evidence_text,
    holder_cells,
    holder_lines,
    line_evidence,
    waiter_cells,
)
from poolscope_exporter.terminal.live.keyed_table import KeyedTable
from poolscope_exporter.terminal.live.watch_screen import WatchScreen
from poolscope_exporter.terminal.pool_lines import PoolLine
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.terminal.source import PoolsSource
from poolscope_exporter.terminal.watch import PoolWatch

GONE = "The exporter has no data of this pool any more."
NOT_HELD = "no connection is held for longer than a second"
NOBODY_WAITS = "no caller waits"


class PoolScreen(WatchScreen):
    """The holders and the waiting callers of one line of the table of pools."""

    DEFAULT_CSS = """
    #pool { padding: 0 1; height: auto; max-height: 10; }
    .title { padding: 0 1; text-style: bold; }
    #holders { height: 2fr; }
    #waiters { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]
    AUTO_FOCUS = "#holders"

    def __init__(self, watch: PoolWatch, source: PoolsSource, key: str) -> None:
        super().__init__(watch, source)
        self._key = key

    def body_parts(self) -> Sequence[Widget]:
        """Return the diagnosis and both tables."""
        return (
            Static(id="pool", markup=False, classes="answer"),
            Static(id="held-title", markup=False, classes="title"),
            KeyedTable(tuple(HolderColumn), id="holders", classes="answer"),
            Static(id="waiters-title", markup=False, classes="title"),
            KeyedTable(tuple(WaiterColumn), id="waiters", classes="answer"),
        )

    async def show_answer(self) -> None:
        """Show the pool in the last answer."""
        await super().show_answer()
        line = self._line()
        if line is None:
            self.query_one("#pool", Static).update(GONE)
            return
        self.query_one("#pool", Static).update("\n".join(map(printable, _facts(line))))
        self._show_holders()
        waiters = merged_waiters(line.state.processes)
        waiting = sum(group.count for group in waiters)
        title = f"Waiting callers: {waiting} listed" if waiters else f"Waiting: {NOBODY_WAITS}"
        self.query_one("#waiters-title", Static).update(title)
        self.query_one("#waiters", KeyedTable).show_rows(
            {str(index): list(waiter_cells(each).values()) for index, each in enumerate(waiters)}
        )

    def selected_pools(self) -> Sequence[ServicePoolState]:
        """Return the pools of this view."""
        line = self._line()
        return () if line is None else line.pools

    def evidence_now(self) -> str:
        """Return the evidence on the selected group of holders, or on the pool."""
        reading, line = self.watch_state.reading, self._line()
        if reading is None or line is None:
            return ""
        key = self.query_one("#holders", KeyedTable).selected_key
        chosen = [each for each in self._holders() if each.key == key]
        return evidence_text(reading, chosen) if chosen else line_evidence(reading, line)

    def _line(self) -> PoolLine | None:
        return self.watch_state.find_line(self._key)

    def _holders(self) -> list[HolderLine]:
        reading, line = self.watch_state.reading, self._line()
        return [] if reading is None or line is None else holder_lines(reading, line)

    def _show_holders(self) -> None:
        holders = self._holders()
        held = sum(len(each.group.judgements) for each in holders)
        title = f"Held connections: {held}" if holders else f"Held: {NOT_HELD}"
        self.query_one("#held-title", Static).update(title)
        self.query_one("#holders", KeyedTable).show_rows(
            {each.key: list(holder_cells(each.group).values()) for each in holders}
        )


def _facts(line: PoolLine) -> list[str]:
    found = line.state.worst
    probable = " (probable)" if found.is_probable else ""
    since = duration_cell(line.state.since_s).text
    return [f"{line.title}: {found.diagnosis}{probable} for {since}", *found.reasons]
