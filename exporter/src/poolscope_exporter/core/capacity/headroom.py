"""Calculate how many more sessions a server admits, by the tightest of its limits."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from poolscope_exporter.core.capacity.known_sum import known_sum
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.model.servers import ServerLimits

Scope = Literal["server", "role", "database", "clients", "pool"]
"""The scope of a limit; the last two are for PgBouncer."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, the part that is used, and the part that is free (never below 0).

    `name` is that of the role, database or pool; it is empty for the limit on all.
    """

    scope: Scope
    name: str
    limit: int
    used: int

    @property
    def free(self) -> int:
        """Return how many more sessions the limit admits."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Headroom:
    """The tightest limit; `limits` has every limit that is in use, the server's first."""

    tightest: Scope
    name: str
    free: int
    limit: int
    used: int
    limits: tuple[Limit, ...]

    def free_for(self, roles: Collection[str], databases: Collection[str]) -> int:
        """Return how many more sessions these roles may have on these databases."""
        names = {"role": roles, "database": databases}
        ours = [n.free for n in self.limits if n.scope == "server" or n.name in names[n.scope]]
        return min(ours)


def headroom(
    limits: ServerLimits,
    sessions_total: int,
    by_role: Mapping[str, int],
    by_database: Mapping[str, int],
    *,
    own_role: str | None = None,
) -> Headroom:
    """Return the tightest limit for this number of client sessions, by role and by database.

    Only roles and databases with sessions count, because the limit of an unused one restricts no
    application. The limit of `own_role`, which is the exporter's role, is left out for the same
    reason.
    """
    bounds = [Limit("server", "", limits.usable, sessions_total)]
    bounds += _limits("role", limits.role_limits, by_role, own_role)
    bounds += _limits("database", limits.database_limits, by_database, None)
    least = min(bounds, key=lambda bound: bound.free)
    return Headroom(least.scope, least.name, least.free, least.limit, least.used, tuple(bounds))


def _limits(
    scope: Scope, limits: Mapping[str, int], used: Mapping[str, int], without: str | None
) -> list[Limit]:
    return [
        Limit(scope, name, limit, used[name])
        for name, limit in sorted(limits.items())
        # PostgreSQL uses -1 for "no limit".
        if limit >= 0 and used.get(name, 0) > 0 and name != without
    ]


def potential(pools: Iterable[PoolNumbers]) -> int | None:
    """Return how many connections all pools may open; None if any has no known limit."""
    return known_sum(pool.max for pool in pools)
