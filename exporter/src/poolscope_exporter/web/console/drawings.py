"""Compute the drawings of a pool: the bar of its connections, and the strip of its last minutes.

The style policy of the pages allows no inline style, so every size is an attribute of SVG.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from poolscope_exporter.core.judging.diagnosis import Diagnosis
from poolscope_exporter.core.judging.overview.pool_history import (
    SLOT_S,
    SLOTS,
    PoolSample,
    unpack_strip,
)
from poolscope_exporter.core.judging.overview.service_pools import PoolSums
from poolscope_exporter.core.judging.overview.worst_first import DIAGNOSES

BAR_WIDTH: Final = 120
BAR_WAITING: Final = 40
"""The width of the bar for the limit, and the most that waiting callers add to it."""

STRIP_HEIGHT: Final = 24
_LINE_HEIGHT: Final = 20
_MINUTE_SLOTS: Final = 60 / SLOT_S
_CALM: Final = {Diagnosis.HEALTHY: "good", Diagnosis.UNKNOWN: "dim"}
_FIRST_WAIT: Final = DIAGNOSES.index(Diagnosis.CONNECTING)
"""The diagnoses before it fail callers or lose connections; from it on, callers wait."""


@dataclass(frozen=True, slots=True)
class BarPiece:
    """One piece of the bar: its style, its beginning and its width."""

    style: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class StripBand:
    """Neighbouring slots with equal style."""

    style: str
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Strip:
    """The last 15 minutes: bands of diagnoses, and the lines of use and waiting as paths.

    The text for people who do not see the drawing is `summary`.
    """

    bands: tuple[StripBand, ...]
    used: str
    waiting: str
    summary: str


def connection_bar(sums: PoolSums) -> tuple[BarPiece, ...]:
    """Return the pieces against the limit; none if the use or the limit is unknown."""
    if sums.used is None or not sums.limit:
        return ()
    scale = BAR_WIDTH / max(sums.limit, sums.used + (sums.idle or 0))
    overflow = min(sums.overflow or 0, sums.used)
    waiting = min(BAR_WAITING, (sums.waiting or 0) * scale)
    lengths = [
        ("used", (sums.used - overflow) * scale),
        ("over", overflow * scale),
        ("idle", (sums.idle or 0) * scale),
    ]
    pieces, x = [], 0.0
    for style, width in lengths:
        pieces.append(BarPiece(style, round(x, 1), round(width, 1)))
        x += width
    pieces.append(BarPiece("wait", BAR_WIDTH, round(waiting, 1)))
    return tuple(each for each in pieces if each.width)


def style_of(diagnosis: Diagnosis) -> str:
    """Return the style of a diagnosis: `bad`, `warn`, `dim` or `good`."""
    is_wait = DIAGNOSES.index(diagnosis) >= _FIRST_WAIT
    return _CALM.get(diagnosis, "warn" if is_wait else "bad")


def draw_strip(packed: bytes) -> Strip:
    """Return the drawing of the samples of a pool; each slot is one unit wide."""
    samples = unpack_strip(packed)
    waiting = [sample.waiting if sample else None for sample in samples]
    most = max((each for each in waiting if each), default=0)
    used = [sample.used_percent if sample else None for sample in samples]
    return Strip(
        bands=tuple(_bands(samples)),
        used=_path(used, 100),
        waiting=_path(waiting, most) if most else "",
        summary=_summary(samples, most),
    )


def _bands(samples: Sequence[PoolSample | None]) -> Iterable[StripBand]:
    x = 0
    for style, group in groupby(samples, lambda each: style_of(each.diagnosis) if each else ""):
        width = len(list(group))
        if style:
            yield StripBand(style, x, width)
        x += width


def _path(values: Sequence[int | None], most: int) -> str:
    """Return a step line over the slots; a slot without a value is a gap."""
    path, x = "", 0
    last: int | None = None
    for value, group in groupby(None if each is None else _height(each, most) for each in values):
        width = len(list(group))
        if value is not None:
            start = f"M{x} {value}" if last is None else f"V{value}"
            path += f"{start}h{width}"
        last, x = value, x + width
    return path


def _height(value: int, most: int) -> int:
    share = min(1.0, value / most)
    return STRIP_HEIGHT - 2 - round(share * _LINE_HEIGHT)


def _summary(samples: Sequence[PoolSample | None], most_waiting: int) -> str:
    counts = Counter(sample.diagnosis for sample in samples if sample)
    if not counts:
        return "no data of the last 15 minutes"
    parts = [_minutes(each, counts[each]) for each in DIAGNOSES if each in counts]
    if missing := SLOTS - counts.total():
        parts.append(_minutes("no data", missing))
    peak = f"; at most {most_waiting} waiting" if most_waiting else ""
    return f"last 15 minutes: {', '.join(parts)}{peak}"


def _minutes(what: str, slots: int) -> str:
    minutes = slots / _MINUTE_SLOTS
    return f"{what} {minutes:.0f} min" if minutes >= 1 else f"{what} {slots * SLOT_S:.0f} s"
