"""Decide how often processes under pressure may push, so that an outage causes no flood."""

from collections.abc import Mapping
from typing import Final

from poolscope.catalogue import FASTEST_PUSH_S
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push

MOST_FAST_PUSHES: Final = 200.0
"""Pushes per second that all processes under pressure may send together."""

MOST_PUSHES: Final = 220.0
"""Pushes per second of all processes together: a little more than a calm fleet of 1,000 sends."""

LEAST_FAST_PUSHES: Final = 20.0
"""Pushes per second for processes under pressure, also if calm processes use up the rest."""

COUNTED_OVER_S: Final = 5.0
"""How long the pushes of calm processes are counted: the usual push interval of a process."""

PRESSED_FOR_S: Final = 15.0
"""A process counts as under pressure until this long after its last push."""


class FastPushes:
    """The processes that are under pressure now; times are one monotonic clock.

    At most `max_instances` processes count: the ones with the latest pushes. Without this limit, a
    sender with many short-lived processes could fill the memory and slow down the others.
    """

    def __init__(self, max_instances: int) -> None:
        self._max_instances = max_instances
        self._pressed: dict[Instance, float] = {}
        self._counted_since_s: float | None = None
        self._calm_pushes = 0
        self._calm_per_s = 0.0

    def record_pressure(self, push: Push, now_s: float) -> None:
        """Record whether the process of an accepted push is under pressure."""
        self._pressed.pop(push.instance, None)
        if not push.is_pressed or push.is_end:
            self._measure_calm(now_s)
            self._calm_pushes += 1
            return
        # The newest comes last, so that silent processes come first and are dropped first.
        self._pressed[push.instance] = now_s
        if len(self._pressed) > self._max_instances:
            del self._pressed[next(iter(self._pressed))]

    def allowed_interval_s(self, now_s: float) -> float:
        """Return the push interval for a process under pressure, in seconds."""
        while self._pressed and _oldest(self._pressed) < now_s - PRESSED_FOR_S:
            del self._pressed[next(iter(self._pressed))]
        self._measure_calm(now_s)
        room = min(MOST_FAST_PUSHES, max(LEAST_FAST_PUSHES, MOST_PUSHES - self._calm_per_s))
        return max(FASTEST_PUSH_S, len(self._pressed) / room)

    def _measure_calm(self, now_s: float) -> None:
        since_s = self._counted_since_s
        if since_s is None:
            self._counted_since_s = now_s
        elif now_s - since_s >= COUNTED_OVER_S:
            self._calm_per_s = self._calm_pushes / (now_s - since_s)
            self._counted_since_s, self._calm_pushes = now_s, 0


def _oldest(pressed: Mapping[Instance, float]) -> float:
    return pressed[next(iter(pressed))]
