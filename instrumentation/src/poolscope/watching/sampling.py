"""Decide when to look at the owners of connections: at random moments, within a budget of CPU."""

from collections.abc import Callable
from typing import Final

CALM_HZ: Final = 1.0
"""Looks per second while no caller waits and no pool is full."""

BUDGET: Final = 0.003
"""The largest share of a core that looks may take; they become rarer beyond it."""

TARGET: Final = 0.9 * BUDGET
"""The share that looks are planned for: the estimate of their cost is behind on a busy machine."""

WAKE_S: Final = 50e-6
"""CPU that one wake-up of the thread takes beside the look itself."""

_SMOOTHING: Final = 0.2
_LEAST_HZ: Final = 0.05
_SPREAD: Final = (0.25, 1.75)

Uniform = Callable[[float, float], float]
"""Returns a random number between two bounds."""


class LookSchedule:
    """The moments of looks: `pressed_hz` per second under pressure, on average, and 1 while calm.

    A look at regular intervals would miss, or always meet, what the application does at the same
    intervals. If `pressed_hz` is 0, looks only find positions, once a second.
    """

    def __init__(self, pressed_hz: float, uniform: Uniform) -> None:
        self._pressed_hz = pressed_hz
        self._uniform = uniform
        self._cost_s = 0.0
        self._last_s: float | None = None
        self.is_pressed = False
        """Whether callers wait, or a pool is full."""

    @property
    def rate_hz(self) -> float:
        """Return the present number of looks per second, on average."""
        wanted = CALM_HZ
        if self._pressed_hz:
            wanted = self._pressed_hz if self.is_pressed else min(CALM_HZ, self._pressed_hz)
        return max(_LEAST_HZ, min(wanted, TARGET / (WAKE_S + self._cost_s)))

    def next_delay_s(self) -> float:
        """Return how long to wait before the next look."""
        low, high = _SPREAD
        return self._uniform(low, high) / self.rate_hz

    def elapsed_s(self, now_s: float) -> float:
        """Return the time for which a look at `now_s` stands: since the previous one.

        A gap that no schedule makes, such as a suspended machine, counts as one interval.
        """
        last_s, self._last_s = self._last_s, now_s
        longest_s = 2 * _SPREAD[1] / self.rate_hz
        return 0.0 if last_s is None else min(now_s - last_s, longest_s)

    def note_cost(self, cpu_s: float) -> None:
        """Note the CPU time of one look; the first ones count most, and one outlier little."""
        weight = 1.0 if self._cost_s == 0.0 else _SMOOTHING
        self._cost_s += weight * (cpu_s - self._cost_s)
