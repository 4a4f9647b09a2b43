"""Decide how long to pause before the next attempt at a failing peer, so that it can recover."""

import random
from collections.abc import Callable
from dataclasses import dataclass

_MAX_DOUBLINGS = 10
"""Keeps the power of two small; every `longest_s` is reached earlier."""


def random_share() -> float:
    """Return a random factor around 1, so that several exporters do not return at the same time."""
    return random.uniform(0.75, 1.25)  # noqa: S311 - it need not be unpredictable


@dataclass(frozen=True, slots=True)
class Backoff:
    """A pause that doubles with each failure in a row, from the shortest to the longest."""

    shortest_s: float
    longest_s: float
    jitter: Callable[[], float] = random_share

    def pause_s(self, failures_in_a_row: int) -> float:
        """Return the pause in seconds after so many failures in a row, at least 1."""
        doubled_s = self.shortest_s * 2.0 ** min(failures_in_a_row - 1, _MAX_DOUBLINGS)
        return min(self.longest_s, doubled_s) * self.jitter()
