"""Cells of a table in a terminal: safe text, and the style of a verdict or a diagnosis."""

from dataclasses import dataclass
from typing import Final

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.verdicts import Verdict
from poolscope_exporter.terminal.printable import printable
from poolscope_exporter.web.console.drawings import style_of
from poolscope_exporter.web.console.page_parts import duration

UNKNOWN: Final = "?"
"""The text of an unknown number, because 0 would be an answer."""

DIM: Final = "dim"
BAD: Final = "bold red"
WARN: Final = "yellow"

_OF_PAGES: Final = {"bad": BAD, "warn": WARN, "dim": DIM, "good": "green"}
STYLES: Final[dict[str, str]] = {
    **{each: _OF_PAGES[style_of(each)] for each in Diagnosis},
    Verdict.LEAKED: BAD,
    Verdict.LOST: BAD,
    Verdict.BLOCKED: "red",
    Verdict.SLOW_QUERY: WARN,
    Verdict.IDLE_IN_TRANSACTION: "magenta",
    Verdict.HELD_IDLE: "magenta",
    Verdict.STALLED: "magenta",
    Verdict.WORKING: "green",
}
"""The style of each word, as Rich and Textual read it."""

_FEW: Final = 10
_TENTHS_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class TextCell:
    """A text without characters that could steer a terminal, its style, and its side."""

    text: str
    style: str = ""
    is_number: bool = False


def text_cell(text: str | None, style: str = "") -> TextCell:
    """Return a cell with a text from outside."""
    return TextCell(UNKNOWN, DIM) if text is None else TextCell(printable(text), style)


def word_cell(word: str) -> TextCell:
    """Return a cell with a verdict or a diagnosis in its style."""
    return TextCell(printable(word), STYLES.get(word, DIM))


def number_cell(number: int | None, *, is_alarm: bool = False) -> TextCell:
    """Return a cell with a number; with `is_alarm`, any number above 0 is marked."""
    style = BAD if is_alarm and number else ""
    return TextCell(known(number), style, is_number=True)


def rate_cell(per_minute: float | None) -> TextCell:
    """Return a cell with a number per minute."""
    if per_minute is None:
        return TextCell(UNKNOWN, is_number=True)
    is_whole = per_minute >= _FEW or not per_minute
    text = f"{per_minute:.0f}" if is_whole else f"{per_minute:.1f}"
    return TextCell(text, BAD if per_minute else "", is_number=True)


def duration_cell(seconds: float | None) -> TextCell:
    """Return a cell with a duration."""
    text = UNKNOWN if seconds is None else duration(seconds)
    return TextCell(text, is_number=True)


def age_cell(seconds: float) -> TextCell:
    """Return a cell with the age of a checkout or of a wait, in tenths below two minutes."""
    text = f"{seconds:.1f} s" if seconds < _TENTHS_S else duration(seconds)
    return TextCell(text, is_number=True)


def known(number: int | None) -> str:
    """Return a number, or a question mark."""
    return UNKNOWN if number is None else str(number)
