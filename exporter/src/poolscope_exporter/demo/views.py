"""Three views of the demo: a live table, plain lines, and JSON lines for programs."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.live import Live

from poolscope_exporter.demo.exporter_api import Snapshot
from poolscope_exporter.demo.findings import Findings, finding_as_json, finding_as_sentence
from poolscope_exporter.demo.terminal import picture
from poolscope_exporter.terminal.reported import ReportedCheckout


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the demo's parts, without passwords."""

    exporter: str
    shop: str
    database: str

    def __str__(self) -> str:
        return (
            f"live page   {self.exporter}/\n"
            f"metrics     {self.exporter}/metrics\n"
            f"sample app  {self.shop}/docs\n"
            f"database    {self.database}"
        )


class View(Protocol):
    """A view of the demo's snapshots; it is entered when everything runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def show(self, snapshot: Snapshot) -> None:
        """Show a new snapshot."""


class LiveView:
    """A live table that is redrawn with every snapshot."""

    def __init__(self, header: str) -> None:
        self._header = header
        self._live = Live(auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw the picture."""
        self._live.update(picture(snapshot, self._header), refresh=True)


class LineView:
    """One line on standard output for each finding."""

    def __init__(self, line: Callable[[ReportedCheckout], str]) -> None:
        self._line = line
        self._findings = Findings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        """Write the new findings."""
        for finding in self._findings.new_among(snapshot.checkouts):
            print(self._line(finding), flush=True)  # noqa: T201 - this is the command's output


def choose_view(addresses: Addresses, ending: str, *, as_json: bool) -> View:
    """Return the view for this output; `ending` explains how the demo ends.

    With JSON, the addresses and `ending` go to standard error.
    """
    header = f"poolscope demo\n{addresses}\n{ending}\n"
    if sys.stdout.isatty() and not as_json:
        return LiveView(header)
    stream = sys.stderr if as_json else sys.stdout
    print(header, file=stream, flush=True)
    return LineView(finding_as_json if as_json else finding_as_sentence)
