"""What a history is made of: series with two levels, and phases that hold one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Phase(Enum):
    """What a stretch of history shows."""

    BELOW = "below"
    QUIET = "quiet"
    FIRING = "firing"
    MISSING = "missing"


@dataclass(frozen=True)
class Level:
    """A series at either level: a gauge's value, or a counter's growth per step."""

    firing: float
    below: float
    quiet: float
    counts: bool = False

    def at(self, phase: "Phase") -> float:
        """Return the value, or the growth, of a phase."""
        levels = {Phase.FIRING: self.firing, Phase.BELOW: self.below, Phase.QUIET: self.quiet}
        return levels[phase]


def gauge(firing: float, below: float | None = None) -> Level:
    """Return a gauge; without `below` it stays."""
    least = firing if below is None else below
    return Level(firing, least, least)


def counter(firing: float, below: float | None = None, quiet: float | None = None) -> Level:
    """Return a counter by its growth per step; without `below` it grows evenly.

    `quiet` is its growth where a stretch is interrupted: what is averaged does not end at once.
    """
    least = firing if below is None else below
    return Level(firing, least, least if quiet is None else quiet, counts=True)


@dataclass(frozen=True)
class AlertCase:
    """One alert's history.

    `warm_s` is how long it must be at the firing level before the expression holds, `clear_s` how
    long below before it does no more; `on_s` an interrupted stretch (otherwise most of `for`).
    `optional` are series without which it fires all the same.
    """

    alert: str
    series: Mapping[str, Level]
    labels: Mapping[str, str]
    static: Mapping[str, str] = field(default_factory=dict)
    step_s: int = 15
    before_s: int = 600
    warm_s: int = 0
    clear_s: int = 15
    on_s: int | None = None
    optional: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Return the alert's name, with the window that tells those of one name apart."""
        return "-".join((self.alert, *self.static.values()))


Stretch = tuple[Phase, int]
"""A phase, and for how many seconds."""


def values(level: Level, history: Sequence[Stretch], step_s: int) -> str:
    """Return a series as promtool writes it: a sample each step."""
    parts, total = [], 0.0
    for phase, lasts_s in history:
        steps = lasts_s // step_s
        if steps == 0:
            continue
        if phase is Phase.MISSING:
            parts.append(f"_x{steps}")
            continue
        growth = level.at(phase)
        if level.counts:
            parts.append(f"{total + growth:g}+{growth:g}x{steps - 1}")
            total += growth * steps
        else:
            parts.append(f"{growth:g}+0x{steps - 1}")
    return " ".join(parts)


def series_of(
    case: AlertCase, history: Sequence[Stretch], without: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return all series of a case, less those that are missing altogether."""
    return {
        series: values(level, history, case.step_s)
        for series, level in case.series.items()
        if series not in without
    }


def labelled(name: str, labels: Mapping[str, str], **more: str) -> str:
    """Return a series by its name and labels."""
    pairs = (f'{key}="{value}"' for key, value in {**labels, **more}.items())
    return f"{name}{{{','.join(pairs)}}}"
