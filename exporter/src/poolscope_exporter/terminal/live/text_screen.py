"""The views of `top` that are text: lock queues as trees, and the occupancy profile."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.terminal.live.watch_screen import WatchScreen
from poolscope_exporter.terminal.pool_lines import pool_title
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.terminal.source import PoolsSource, ReadFailure
from poolscope_exporter.terminal.watch import PoolWatch

READING = "reading …"


class TextScreen(WatchScreen):
    """A text about some pools, or about all, read again after each answer."""

    DEFAULT_CSS = """
    #title { padding: 0 1; text-style: bold; }
    #text { padding: 0 1; width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]
    SUBJECT = ""

    def __init__(
        self, watch: PoolWatch, source: PoolsSource, pools: Sequence[ServicePoolState]
    ) -> None:
        super().__init__(watch, source)
        self._pools = pools
        self._text = READING
        self._is_reading = False

    def body_parts(self) -> Sequence[Widget]:
        """Return the title and the text."""
        whose = ", ".join(pool_title(each.name) for each in self._pools) or "all pools"
        title = printable(f"{self.SUBJECT} of {whose}")
        return (
            Static(title, id="title", markup=False),
            VerticalScroll(Static(self._text, id="text", markup=False, classes="answer")),
        )

    def selected_pools(self) -> Sequence[ServicePoolState]:
        """Return the pools that the text is about."""
        return self._pools

    async def show_answer(self) -> None:
        """Show the state, and read the text in the background, so that the keys stay usable."""
        await super().show_answer()
        if not self._is_reading:
            self._is_reading = True
            self.run_worker(self._show_text())

    async def _show_text(self) -> None:
        """Read the text, and show it; keep the last one if there is no answer."""
        try:
            answer = await self.read_text()
        finally:
            self._is_reading = False
        shown = self._text
        if not isinstance(answer, ReadFailure):
            shown = self._text = "\n".join(answer)
        elif shown == READING:
            shown = printable(answer.reason)
        if self.is_attached:
            self.query_one("#text", Static).update(shown)

    async def read_text(self) -> Sequence[str] | ReadFailure:
        """Return the lines."""
        raise NotImplementedError

    def evidence_now(self) -> str:
        """Return the text."""
        return "" if self._text == READING else self._text


class BlockingScreen(TextScreen):
    """The lock queues of some pools, or all."""

    SUBJECT = "Lock queues"

    async def read_text(self) -> Sequence[str] | ReadFailure:
        """Return the trees."""
        return await self.source.read_blocking(self._pools)


class OccupancyScreen(TextScreen):
    """The lines of code that kept the connections of some pools, or of all."""

    SUBJECT = "Time of connections"

    async def read_text(self) -> Sequence[str] | ReadFailure:
        """Return the profile of the last minute."""
        return await self.source.read_occupancy(self._pools)
