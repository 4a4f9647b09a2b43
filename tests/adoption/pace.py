"""How long each part of a run lasts."""

from dataclasses import dataclass, replace
from typing import Self

from poolscope_generators.adoption.record import Phase


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of each part; between two incidents, the last one must leave every window."""

    calm_s: float
    leak_s: float
    lock_s: float
    exhaustion_s: float
    outage_s: float
    between_s: float

    def lasting_s(self, phase: Phase) -> float:
        """Return the duration of a phase."""
        return {
            Phase.CALM: self.calm_s,
            Phase.LEAK: self.leak_s,
            Phase.LOCK: self.lock_s,
            Phase.EXHAUSTION: self.exhaustion_s,
            Phase.RESTART: self.outage_s,
        }[phase]

    def with_calm(self, calm_s: float | None) -> Self:
        """Return the pace with another duration of the calm."""
        return self if calm_s is None else replace(self, calm_s=calm_s)


FULL = Pace(900, 180, 120, 120, 60, 75)
SHORT = Pace(15, 20, 20, 20, 12, 40)
