"""The program behind `poolscope-exporter top`: it reads the exporter again and again."""

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from poolscope_exporter import clock
from poolscope_exporter.terminal.live.pools_screen import PoolsScreen
from poolscope_exporter.terminal.live.text_screen import BlockingScreen, OccupancyScreen
from poolscope_exporter.terminal.live.watch_screen import WatchScreen
from poolscope_exporter.terminal.source import PoolsSource
from poolscope_exporter.terminal.watch import PoolWatch


class TopApp(App[None]):
    """All views of one exporter; the view on top shows each new answer."""

    TITLE = "poolscope top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "blocking", "Blocking"),
        Binding("p", "occupancy", "Profile"),
        Binding("y", "copy", "Copy evidence"),
        Binding("space", "pause", "Pause"),
        Binding("r", "read", "Read now"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, watch: PoolWatch, source: PoolsSource) -> None:
        super().__init__()
        self._watch = watch
        self._source = source
        self._is_reading = False

    def get_default_screen(self) -> Screen[None]:
        """Return the table of pools."""
        return PoolsScreen(self._watch, self._source)

    def on_ready(self) -> None:
        """Read at once if there is no answer yet, and then after each interval."""
        self.set_interval(self._watch.interval_s, self._tick)
        if self._watch.reading is None and not self._watch.is_old:
            self.action_read()

    def _tick(self) -> None:
        if not self._watch.is_paused:
            self.action_read()

    def action_read(self) -> None:
        """Read now, unless the last answer is still awaited."""
        if not self._is_reading:
            self.run_worker(self._read())

    async def action_pause(self) -> None:
        """Stop to read, or read again."""
        self._watch.is_paused = not self._watch.is_paused
        await self._show()

    def action_blocking(self) -> None:
        """Open the lock queues of the pools of the view, or all of them."""
        view = self._view()
        if view is not None and not isinstance(view, BlockingScreen):
            pools = view.blocked_pools()
            self.push_screen(BlockingScreen(self._watch, self._source, pools))

    def action_occupancy(self) -> None:
        """Open the occupancy profile of the selected pool."""
        view = self._view()
        if view is not None and not isinstance(view, OccupancyScreen):
            pools = view.selected_pools()
            self.push_screen(OccupancyScreen(self._watch, self._source, pools))

    def action_copy(self) -> None:
        """Copy the evidence to the clipboard of the terminal, also over ssh.

        The terminal must accept OSC 52; tmux needs `set -g set-clipboard on`.
        """
        view = self._view()
        text = view.evidence_now() if view is not None else ""
        if text:
            self.copy_to_clipboard(text)
            lines = text.count("\n") + 1
            self.notify(f"copied to the terminal's clipboard: {lines} lines", markup=False)

    async def _read(self) -> None:
        self._is_reading = True
        try:
            answer = await self._source.read_pools()
        finally:
            self._is_reading = False
        self._watch.accept_answer(answer, clock.monotonic(), clock.wall_s())
        await self._show()

    async def _show(self) -> None:
        view = self._view()
        if view is not None and view.is_mounted:
            await view.show_answer()

    def _view(self) -> WatchScreen | None:
        return self.screen if isinstance(self.screen, WatchScreen) else None
