"""Add up what all pools together may open at each server or proxy that they lead to."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """What limits all pools that lead to one server or PgBouncer; `most` is None where unknown.

    `name` is the server's or the bouncer's, empty where it is not known; `setting` is its own for
    the limit.
    """

    name: str = ""
    setting: str = "max_connections"
    most: int | None = None
    is_bouncer: bool = False


@dataclass(frozen=True, slots=True)
class Demand:
    """What all known pools may open together under a limit that they share.

    `potential` is the sum of those that have a limit, `unlimited` how many have none.
    """

    limit: SharedLimit
    pools: int = 0
    potential: int = 0
    unlimited: int = 0


NOWHERE = Demand(SharedLimit())
"""Nobody knows where the pool's connections lead."""


def demands(pools: Iterable[tuple[SharedLimit, PoolNumbers]]) -> dict[SharedLimit, Demand]:
    """Return the demand under each limit whose server or bouncer is known."""
    found: dict[SharedLimit, list[PoolNumbers]] = {}
    for limit, numbers in pools:
        if limit.name:
            found.setdefault(limit, []).append(numbers)
    return {limit: _demand(limit, under) for limit, under in found.items()}


def _demand(limit: SharedLimit, pools: list[PoolNumbers]) -> Demand:
    limits = [numbers.max for numbers in pools]
    known = [limit for limit in limits if limit is not None]
    return Demand(limit, len(pools), sum(known), len(limits) - len(known))
