"""Decide how fast processes under pressure may push, so that a shared outage stays bearable."""

from collections.abc import Mapping
from typing import Final

from poolscope.catalogue import FASTEST_PUSH_S
from poolscope_exporter.core.model.checkouts import Instance
from poolscope_exporter.core.model.pushes import Push

MOST_FAST_PUSHES: Final = 200.0
"""Fast pushes per second that all processes may send together."""

PRESSED_FOR_S: Final = 15.0
"""A process that does not push for this long, fast or not, no longer counts."""


class FastPushes:
    """The processes that are under pressure now; times are one monotonic clock."""

    def __init__(self) -> None:
        self._pressed: dict[Instance, float] = {}

    def record_pressure(self, push: Push, now_s: float) -> None:
        """Note whether the process of a push is under pressure."""
        if push.is_pressed and not push.is_end:
            # The newest last, so that those that fell silent come first.
            self._pressed.pop(push.instance, None)
            self._pressed[push.instance] = now_s
        else:
            self._pressed.pop(push.instance, None)

    def allowed_interval_s(self, now_s: float) -> float:
        """Return how many seconds a process under pressure is to wait between two pushes."""
        while self._pressed and _oldest(self._pressed) < now_s - PRESSED_FOR_S:
            del self._pressed[next(iter(self._pressed))]
        return max(FASTEST_PUSH_S, len(self._pressed) / MOST_FAST_PUSHES)


def _oldest(pressed: Mapping[Instance, float]) -> float:
    return pressed[next(iter(pressed))]
