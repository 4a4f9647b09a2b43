"""The frame of each view of `top`: the line of its state, and the line of a failure."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from poolscope_exporter import clock
from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.terminal.source import PoolsSource
from poolscope_exporter.terminal.watch import PoolWatch


class WatchScreen(Screen[None]):
    """One view of the last answer of the exporter."""

    DEFAULT_CSS: ClassVar[str] = """
    #status { background: $panel; padding: 0 1; }
    #problem { background: $error; color: $text; padding: 0 1; display: none; }
    #problem.shown { display: block; }
    .old { opacity: 60%; }
    """

    def __init__(self, watch: PoolWatch, source: PoolsSource) -> None:
        super().__init__()
        self.watch_state = watch
        self.source = source

    def compose(self) -> ComposeResult:
        """Yield the frame around the parts of the view."""
        yield Static(id="status", markup=False)
        yield Static(id="problem", markup=False)
        yield from self.body_parts()
        yield Footer()

    def body_parts(self) -> Sequence[Widget]:
        """Return the parts of the view."""
        raise NotImplementedError

    async def show_answer(self) -> None:
        """Show the last answer."""
        state = self.watch_state
        problem = state.problem_line(clock.monotonic())
        self.query_one("#status", Static).update(state.status_line())
        line = self.query_one("#problem", Static)
        line.update(problem)
        line.set_class(bool(problem), "shown")
        for part in self.query(".answer"):
            part.set_class(state.is_old, "old")

    async def on_screen_resume(self) -> None:
        """Show the present state; the view may have been covered by another one."""
        await self.show_answer()

    def selected_pools(self) -> Sequence[ServicePoolState]:
        """Return the pools that the view is about; none if it is about all."""
        return ()

    def blocked_pools(self) -> Sequence[ServicePoolState]:
        """Return the pools with the lock queues to open from here; none for all queues."""
        return self.selected_pools()

    def evidence_now(self) -> str:
        """Return the text to copy for a ticket, or "" if there is none."""
        return ""
