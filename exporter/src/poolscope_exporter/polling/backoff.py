"""Decide how long to leave a peer alone that fails, so that it can recover."""

import random
from collections.abc import Callable
from dataclasses import dataclass

_MAX_DOUBLINGS = 10
"""Keeps the power of two small; every `longest_s` is reached before."""


def random_share() -> float:
    """Return a factor around 1, so that several exporters do not return in step."""
    return random.uniform(0.75, 1.25)  # noqa: S311 - nobody must be unable to guess it


@dataclass(frozen=True, slots=True)
class Backoff:
    """A pause that doubles with each failure in a row, from the shortest to the longest."""

    shortest_s: float
    longest_s: float
    jitter: Callable[[], float] = random_share

    def pause_s(self, failures_in_a_row: int) -> float:
        """Return how long to wait after so many failures in a row, which are 1 or more."""
        doubled_s = self.shortest_s * 2.0 ** min(failures_in_a_row - 1, _MAX_DOUBLINGS)
        return min(self.longest_s, doubled_s) * self.jitter()
