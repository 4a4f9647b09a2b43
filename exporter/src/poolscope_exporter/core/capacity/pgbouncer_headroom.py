"""Calculate how many more clients and server connections a PgBouncer admits."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.model.pgbouncers import BouncerSample


@dataclass(frozen=True, slots=True)
class BouncerDatabase:
    """One database of a PgBouncer; `pool_size` applies to each user of it and includes the reserve.

    `max_connections` limits the server connections of all its users together; None is no limit.
    """

    pool_size: int
    max_connections: int | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class BouncerLimits:
    """The limits on clients and on server connections; None is no limit.

    `users` has the largest number of server connections of each user with such a limit.
    """

    max_clients: int
    databases: Mapping[str, BouncerDatabase] = field(default_factory=dict)
    users: Mapping[str, int] = field(default_factory=dict)

    @property
    def paused(self) -> frozenset[str]:
        """Return the databases that are paused, so that their clients get no server connection."""
        return frozenset(name for name, each in self.databases.items() if each.is_paused)


def bouncer_headroom(limits: BouncerLimits, sample: BouncerSample) -> Headroom:
    """Return the tightest limit of a PgBouncer.

    A server connection counts as used while it serves a client: the next client gets an idle one.
    Only pools with a server connection are counted.
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
