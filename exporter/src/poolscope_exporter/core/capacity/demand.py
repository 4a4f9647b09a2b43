"""Add up the connections that all pools may open at each server or proxy."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.model.checkouts import Instance, Pool


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """The limit shared by all pools of one server or PgBouncer; `most` is None if unknown.

    The `name` of the server or PgBouncer is empty if unknown. The `setting` is the name of its
    limit.
    """

    name: str = ""
    setting: str = "max_connections"
    most: int | None = None
    is_bouncer: bool = False


@dataclass(frozen=True, slots=True)
class LimitedPool:
    """A pool, its numbers, and the limit that it shares with others."""

    pool: Pool
    numbers: PoolNumbers
    limit: SharedLimit


@dataclass(frozen=True, slots=True)
class GrownService:
    """A service that may grow to `processes`, with `more` connections than now."""

    service: str
    processes: int
    more: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The connections that all known pools may open together under a limit that they share.

    The sum over the pools with a limit is `potential`; `unlimited` is the number of pools without
    one. The services that may have more processes than now are `grown`.
    """

    limit: SharedLimit
    pools: int = 0
    potential: int = 0
    unlimited: int = 0
    grown: tuple[GrownService, ...] = ()

    @property
    def largest(self) -> int:
        """Return the potential if each service has its largest number of processes."""
        return self.potential + sum(service.more for service in self.grown)


NOWHERE = Demand(SharedLimit())
"""The demand if the server behind the pool is unknown."""


def demands(
    pools: Iterable[LimitedPool], fleet: LargestFleet = AS_SEEN
) -> dict[SharedLimit, Demand]:
    """Return the demand under each limit with a known server or PgBouncer."""
    found: dict[SharedLimit, list[LimitedPool]] = {}
    for each in pools:
        if each.limit.name:
            found.setdefault(each.limit, []).append(each)
    return {limit: _demand(limit, under, fleet) for limit, under in found.items()}


def _demand(limit: SharedLimit, pools: Sequence[LimitedPool], fleet: LargestFleet) -> Demand:
    limits = [each.numbers.max for each in pools]
    known = [limit for limit in limits if limit is not None]
    grown = tuple(_grown(pools, fleet))
    return Demand(limit, len(pools), sum(known), len(limits) - len(known), grown)


def _grown(pools: Sequence[LimitedPool], fleet: LargestFleet) -> Iterator[GrownService]:
    """Yield the services that may grow.

    A new process counts as large as the largest present one.
    """
    services: dict[tuple[str, str], dict[Instance, int]] = {}
    for each in pools:
        owner = each.pool.instance
        processes = services.setdefault((owner.namespace, owner.name), {})
        processes[owner] = processes.get(owner, 0) + (each.numbers.max or 0)
    for (_, service), processes in sorted(services.items()):
        most = fleet.most_processes(service)
        if most is not None and most > len(processes):
            more = (most - len(processes)) * max(processes.values())
            yield GrownService(service, most, more)
