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

    firing: float | None
    below: float
    quiet: float
    counts: bool = False

    def at(self, phase: "Phase") -> float | None:
        """Return the value, or the growth, of a phase; None without a series."""
        levels = {Phase.FIRING: self.firing, Phase.BELOW: self.below, Phase.QUIET: self.quiet}
        return levels.get(phase)


def gauge(firing: float, below: float | None = None) -> Level:
    """Return a gauge; without `below` it stays."""
    least = firing if below is None else below
    return Level(firing, least, least)


def gone(below: float) -> Level:
    """Return a gauge that is missing where the alert fires."""
    return Level(None, below, below)


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
    `optional` are series without which it fires all the same. If it `remembers`, it goes on when
    its series are missing.
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
    remembers: bool = False

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
        growth = level.at(phase)
        if growth is None:
            parts.append(f"_x{steps}")
        elif level.counts:
            parts.append(f"{total + growth:g}+{growth:g}x{steps - 1}")
            total += growth * steps
        else:
            parts.append(f"{growth:g}+0x{steps - 1}")
    return " ".join(parts)


def rotated(level: Level, history: Sequence[Stretch], step_s: int, turn: int, of: int) -> str:
    """Return a gauge that takes turns with others: at each look, another one has the value.

    Every fifth look finds none. An exporter exposes no series that has ended: it is stale.
    """
    looks = [phase for phase, lasts_s in history for _ in range(lasts_s // step_s)]
    mine = [look % of == turn and look % 5 != 0 for look in range(len(looks))]
    return " ".join(
        f"{level.at(phase):g}" if is_mine else "stale"
        for phase, is_mine in zip(looks, mine, strict=True)
    )


def without_every_fourth(text: str) -> str:
    """Return a history in which every fourth scrape is missing."""
    samples = [sample for part in text.split() for sample in _written_out(part)]
    return " ".join("_" if at % 4 == 3 else sample for at, sample in enumerate(samples))


def _written_out(part: str) -> list[str]:
    """Return the samples of `1+2x3`, promtool's notation."""
    first, _, rest = part.partition("+")
    if not rest:
        return [part]
    growth, _, times = rest.partition("x")
    return [f"{float(first) + at * float(growth):g}" for at in range(int(times) + 1)]


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
