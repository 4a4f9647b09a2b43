"""The answers that the live views of `top` need, and the reason if there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from poolscope_exporter.core.judging.overview.service_pools import ServicePoolState
from poolscope_exporter.terminal.states import PoolsReading


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """The reason why there is no answer.

    With `is_refusal`, the exporter answered, but a setting such as the token is wrong.
    """

    reason: str
    is_refusal: bool = False


class PoolsSource(Protocol):
    """A running exporter."""

    async def read_pools(self) -> PoolsReading | ReadFailure:
        """Return all pools and held checkouts."""

    async def read_blocking(self, pools: Sequence[ServicePoolState]) -> Sequence[str] | ReadFailure:
        """Return the lock queues of these pools as lines, or all queues without pools."""

    async def read_occupancy(
        self, pools: Sequence[ServicePoolState]
    ) -> Sequence[str] | ReadFailure:
        """Return the occupancy profile of these pools as lines, or of all without pools."""
