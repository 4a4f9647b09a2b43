"""The held checkouts of one process, replaced only by a complete list."""

from dataclasses import dataclass

from poolscope.catalogue import Publisher
from poolscope_exporter.core.model.checkouts import Checkout

MAX_HELD = 500
"""Held checkouts that are kept of one process: as many as `poolscope` lists."""


@dataclass(frozen=True, slots=True)
class HeardCheckout:
    """A held checkout as last heard; times are the exporter's monotonic clock."""

    checkout: Checkout
    heard_at_s: float
    first_heard_at_s: float
    interval_s: float
    publisher: Publisher

    def age_s(self, now_s: float) -> float:
        """Return how long the connection is out, in seconds, as of `now_s`."""
        return max(0.0, self.checkout.age_s + (now_s - self.heard_at_s))


@dataclass(frozen=True, slots=True)
class ListedCheckouts:
    """The held checkouts of one pool: how many there are, and those that the push listed."""

    held: int
    listed: tuple[HeardCheckout, ...]
    heard_at_s: float
