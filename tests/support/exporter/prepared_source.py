"""An exporter for the live views of `top` that gives prepared answers, without a socket."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from poolscope_exporter.core.judging.overview.service_pools import PoolName, ServicePoolState
from poolscope_exporter.terminal.reported import ReportedCheckout, ReportedPool
from poolscope_exporter.terminal.source import ReadFailure
from poolscope_exporter.terminal.states import PoolsReading, pools_reading

TAKEN_AT = "2026-01-31T03:12:45.678+00:00"


def a_reading(
    pools: Sequence[ReportedPool] = (), checkouts: Sequence[ReportedCheckout] = ()
) -> PoolsReading:
    return pools_reading(pools, checkouts, TAKEN_AT)


@dataclass
class PreparedSource:
    """Gives the answer that a test has set last."""

    answer: PoolsReading | ReadFailure
    blocking: Sequence[str] | ReadFailure = ("no queue",)
    occupancy: Sequence[str] | ReadFailure = ("no time",)
    asked: list[tuple[PoolName, ...]] = field(default_factory=list)
    reads: int = 0

    async def read_pools(self) -> PoolsReading | ReadFailure:
        self.reads += 1
        return self.answer

    async def read_blocking(self, pools: Sequence[ServicePoolState]) -> Sequence[str] | ReadFailure:
        self.asked.append(tuple(each.name for each in pools))
        return self.blocking

    async def read_occupancy(
        self, pools: Sequence[ServicePoolState]
    ) -> Sequence[str] | ReadFailure:
        self.asked.append(tuple(each.name for each in pools))
        return self.occupancy
