"""Keep what `top` shows: the last answer, the choice of its lines, and a failure to read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from poolscope_exporter.terminal.cells import UNKNOWN, known, rate_cell
from poolscope_exporter.terminal.pool_lines import (
    PoolChoice,
    PoolGrouping,
    PoolLine,
    PoolOrder,
    pool_lines,
    pool_numbers,
    present_words,
)
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.states import PoolsReading
from poolscope_exporter.terminal.trend import SLOT_S, PoolTrends
from poolscope_exporter.web.console.page_parts import duration

_Value = TypeVar("_Value")

ORDERS: Final = tuple(PoolOrder)
GROUPINGS: Final = tuple(PoolGrouping)
_LATE: Final = 1.5
NO_PUSH: Final = "No application pushes pools to this exporter now."
NO_MATCH: Final = "No pool matches the filter."


@dataclass(frozen=True, slots=True)
class _Outage:
    """A failure to read: its reason, and since when, by the monotonic and the wall clock."""

    reason: str
    since_s: float
    since: str


@dataclass(slots=True)
class PoolWatch:
    """The last answer of the exporter, and the choice of the lines that are shown."""

    url: str
    interval_s: float
    choice: PoolChoice = field(default_factory=PoolChoice)
    reading: PoolsReading | None = None
    is_paused: bool = False
    _read_at_s: float = 0.0
    _outage: _Outage | None = None
    _trends: PoolTrends = field(default_factory=PoolTrends)

    def __post_init__(self) -> None:
        # A reading may be late, and its character must not look like a time without an answer.
        self._trends.slot_s = max(SLOT_S, _LATE * self.interval_s)

    @property
    def is_old(self) -> bool:
        """Return whether the last try to read has failed."""
        return self._outage is not None

    def accept_answer(
        self, answer: PoolsReading | ReadFailure, now_s: float, wall_s: float
    ) -> None:
        """Keep an answer; with a failure, keep the last one and the time of the first failure."""
        if isinstance(answer, ReadFailure):
            began = self._outage or _Outage("", now_s, _time_text(wall_s))
            self._outage = replace(began, reason=answer.reason)
            return
        self._outage, self.reading, self._read_at_s = None, answer, now_s
        lines = [
            line
            for grouping in GROUPINGS
            for line in pool_lines(answer, PoolChoice(grouping=grouping))
        ]
        self._trends.add_sums({line.key: line.state.sums for line in lines}, now_s)

    def shown_lines(self) -> list[PoolLine]:
        """Return the lines that match the choice, in its order."""
        return [] if self.reading is None else pool_lines(self.reading, self.choice)

    def find_line(self, key: str) -> PoolLine | None:
        """Return the line with this key, also if the filter hides it; None if its pool is gone."""
        if self.reading is None:
            return None
        unfiltered = PoolChoice(grouping=self.choice.grouping)
        return next((e for e in pool_lines(self.reading, unfiltered) if e.key == key), None)

    def last_minute(self, key: str) -> str:
        """Return the minute before the last answer of a line."""
        return self._trends.trend_line(key, self._read_at_s)

    def next_order(self) -> None:
        """Sort by the next number."""
        self.choice = replace(self.choice, order=_following(ORDERS, self.choice.order))

    def next_grouping(self) -> None:
        """Group by the next unit."""
        self.choice = replace(self.choice, grouping=_following(GROUPINGS, self.choice.grouping))

    def next_verdict(self) -> None:
        """Select the next diagnosis or verdict that any pool has now; after the last, all pools."""
        words = [] if self.reading is None else present_words(self.reading)
        self.choice = replace(self.choice, verdict=_following((None, *words), self.choice.verdict))

    def status_line(self) -> str:
        """Return the numbers of all pools, the time of the answer and the choice."""
        parts = [self.url]
        if self.reading is not None:
            parts += [f"as of {_clock(self.reading.taken_at)}", numbers_line(self.reading)]
        parts += _choice_words(self.choice)
        if self.is_paused:
            parts.append("PAUSED")
        return printable(" | ".join(parts))

    def problem_line(self, now_s: float) -> str:
        """Return since when the exporter does not answer, or "" if it does."""
        outage = self._outage
        if outage is None:
            return ""
        lasted = duration(max(0.0, now_s - outage.since_s))
        old = "there is no data yet"
        if self.reading is not None:
            old = f"the data is OLD, as of {_clock(self.reading.taken_at)}"
        return printable(
            f"No answer since {outage.since} ({lasted}): {outage.reason}. "
            f"Trying again every {self.interval_s:g} s; {old}."
        )

    def note_line(self) -> str:
        """Return why there is no line, or "" if there are lines."""
        if self.reading is None or self.shown_lines():
            return ""
        return NO_MATCH if self.reading.pools else NO_PUSH


def numbers_line(reading: PoolsReading) -> str:
    """Return the numbers of the start page in one line."""
    numbers = pool_numbers(reading)
    withheld = f", rows withheld {reading.withheld}" if reading.withheld else ""
    return (
        f"pools in trouble {numbers.troubled} of {numbers.pools}, "
        f"waiting callers {known(numbers.waiting)}, leaked connections {numbers.leaked}, "
        f"failures/min {rate_cell(numbers.failures_per_minute).text}{withheld}"
    )


def _choice_words(choice: PoolChoice) -> list[str]:
    words = [f"by {choice.grouping}", f"sorted: {choice.order}"]
    if choice.verdict:
        words.append(f"only {choice.verdict}")
    if choice.text:
        words.append(f"search: {choice.text}")
    return words


def _following(values: Sequence[_Value], present: _Value) -> _Value:
    """Return the value after the present one; the first one after the last, or after another."""
    index = values.index(present) if present in values else -1
    return values[(index + 1) % len(values)]


def _clock(taken_at: str) -> str:
    """Return the time of day of a time stamp of the API."""
    try:
        return datetime.fromisoformat(taken_at).strftime("%H:%M:%S")
    except ValueError:
        return taken_at or UNKNOWN


def _time_text(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%H:%M:%S UTC")
