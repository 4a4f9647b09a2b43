"""Measure how much more a PgBouncer admits: clients, and server connections of its pools."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.model.pgbouncers import BouncerSample


@dataclass(frozen=True, slots=True)
class BouncerDatabase:
    """One database of a bouncer; `pool_size` holds for each user of it, reserve included.

    `max_connections` bounds the server connections of all its users together, None for no limit.
    """

    pool_size: int
    max_connections: int | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class BouncerLimits:
    """The limits that clients and server connections run into; None where there is none.

    `users` holds the most server connections of a user, where that is limited.
    """

    max_clients: int
    databases: Mapping[str, BouncerDatabase] = field(default_factory=dict)
    users: Mapping[str, int] = field(default_factory=dict)

    @property
    def paused(self) -> frozenset[str]:
        """Return the databases that hand out no server connection at present."""
        return frozenset(name for name, each in self.databases.items() if each.is_paused)


def bouncer_headroom(limits: BouncerLimits, sample: BouncerSample) -> Headroom:
    """Find the tightest limit of a bouncer.

    A server connection counts as used while it serves a client: an idle one is what the next
    client gets. Only pools that have a server connection are looked at.
    """
    bounds = [
        Limit("clients", "", limits.max_clients, sample.total_clients),
        *_pools(limits, sample),
        *_databases(limits, sample),
        *_users(limits, sample),
    ]
    least = min(bounds, key=lambda bound: bound.free)
    return Headroom(least.scope, least.name, least.free, least.limit, least.used, tuple(bounds))


def _pools(limits: BouncerLimits, sample: BouncerSample) -> list[Limit]:
    return [
        Limit("pool", f"{database}/{user}", known.pool_size, used)
        for (database, user), used in sorted(sample.serving.items())
        if (known := limits.databases.get(database))
    ]


def _databases(limits: BouncerLimits, sample: BouncerSample) -> list[Limit]:
    used: Counter[str] = Counter()
    for (database, _), count in sample.serving.items():
        used[database] += count
    return [
        Limit("database", name, known.max_connections, used[name])
        for name, known in sorted(limits.databases.items())
        if known.max_connections is not None and name in used
    ]


def _users(limits: BouncerLimits, sample: BouncerSample) -> list[Limit]:
    used: Counter[str] = Counter()
    for (_, user), count in sample.serving.items():
        used[user] += count
    return [
        Limit("role", name, limit, used[name])
        for name, limit in sorted(limits.users.items())
        if name in used
    ]
