"""The present state of one database server or PgBouncer: its answers, limits and sessions."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import SharedLimit
from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.capacity.room_for_pods import RoomForPods
from poolscope_exporter.core.model.bouncer_traffic import BouncerTraffic
from poolscope_exporter.core.model.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.lock_waits import LockWaits
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    ClientQueue,
    Pooling,
    PoolingSettings,
)
from poolscope_exporter.core.model.servers import (
    ConfiguredServer,
    ServerIdentity,
    ServerLimits,
    ServerRole,
)
from poolscope_exporter.core.model.session_groups import OwnerSessions, SessionGroups
from poolscope_exporter.core.model.sessions import SessionSample

BouncerPool = tuple[str, str]
"""A database and a user of a PgBouncer, which has a pool of server connections for each."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """The present data of one configured server; None is unknown.

    Sessions are counted by state in `connections`. Sessions that outlived their process are in
    `orphans`, by (namespace, name) of their service. The sessions that run and wait for nothing, as
    of `surveyed_at_s` (the exporter's monotonic clock), are `active_on_cpu`. Its settings are
    `configured`. The `reason` explains why the server is not up. Its role in its cluster is
    `place`, which is known also if it is that reason. With `is_full`, it rejected the exporter
    because no slot is free. For each service, `room` has the number of further pods that fit. The
    last poll left out `left_out` held checkouts because of their number. Its sessions are counted
    by role and database in `owners`, and by program and client in `session_groups`. The sessions
    that wait for locks are `lock_waits`, None without any.
    """

    server: str
    up: bool
    reason: str | None = None
    identity: ServerIdentity | None = None
    limits: ServerLimits | None = None
    connections: Mapping[str, int] | None = None
    headroom: Headroom | None = None
    last_success_age_s: float | None = None
    sample: SessionSample | None = None
    orphans: Mapping[tuple[str, str], int] | None = None
    active_on_cpu: int | None = None
    surveyed_at_s: float | None = None
    configured: ConfiguredServer | None = None
    place: ServerRole | None = None
    is_full: bool = False
    room: tuple[RoomForPods, ...] = ()
    left_out: int | None = None
    owners: OwnerSessions | None = None
    session_groups: SessionGroups | None = None
    lock_waits: LockWaits | None = None

    @property
    def cpus(self) -> float | None:
        """Return its number of CPUs, if it is configured."""
        return self.configured.cpus if self.configured else None

    @property
    def configured_idle(self) -> tuple[IdleTimeout, ...]:
        """Return the configured idle time-outs before it."""
        return self.configured.idle_timeouts if self.configured else ()

    @property
    def shared_limit(self) -> SharedLimit:
        """Return its max_connections, as the limit that all pools share."""
        limit = self.limits.max_connections if self.limits else None
        return SharedLimit(self.server, "max_connections", limit)


@dataclass(frozen=True, slots=True)
class BouncerView:
    """The present data of one PgBouncer; None is unknown.

    Clients are counted by state in `clients`, without those of its console. Time-outs in seconds
    are in `timeouts_s` by name, 0 for none. With `is_one_of_several`, other processes share its
    port. The paused databases are `paused`. The pools before it may open `potential_clients`
    connections together, None if one has no limit. Its pool modes, and whether it tracks prepared
    statements, are in `pooling`. For each service, `room` has the number of further pods that fit.
    The use by database and user is `traffic`.
    """

    bouncer: str
    up: bool
    reason: str | None = None
    version: str | None = None
    clients: Mapping[str, int] | None = None
    timeouts_s: Mapping[str, float] | None = None
    is_one_of_several: bool = False
    last_success_age_s: float | None = None
    known: Bouncer | None = None
    headroom: Headroom | None = None
    paused: frozenset[str] = frozenset()
    potential_clients: int | None = None
    pooling: PoolingSettings | None = None
    room: tuple[RoomForPods, ...] = ()
    traffic: BouncerTraffic | None = None

    def pooling_for(self, database: str) -> Pooling:
        """Return how it pools the connections to a database, as far as it reports that."""
        if self.pooling is None:
            return Pooling(self.bouncer)
        serving = self.known.sample.serving if self.known and self.known.sample else {}
        users = {user for name, user in serving if name == database}
        return Pooling(
            bouncer=self.bouncer,
            modes=self.pooling.modes(database, users),
            max_prepared_statements=self.pooling.max_prepared_statements,
            version=self.pooling.version,
        )

    @property
    def idle_timeout(self) -> IdleTimeout:
        """Return when it closes an application's unused connection, as far as it reports that."""
        seconds = (self.timeouts_s or {}).get("client_idle_timeout") if self.up else None
        return IdleTimeout(IdleSource.PGBOUNCER, seconds, self.bouncer)

    def full_queue(self, clients: Set[BouncerPool]) -> ClientQueue | None:
        """Return the clients that wait for server connections of these pools, if none is free.

        If server connections could still be opened, their number is not why clients wait. A pool
        without a user stands for all users of its database.
        """
        sample = self.known.sample if self.up and self.known else None
        if sample is None:
            return None
        queues = [
            queue
            for (name, user), queue in sample.queues.items()
            if clients & {(name, user), (name, "")} and self._has_no_room(name, user)
        ]
        longest_s = max((queue.longest_s for queue in queues), default=0.0)
        return ClientQueue(sum(queue.waiting for queue in queues), longest_s) if queues else None

    def _has_no_room(self, database: str, user: str) -> bool:
        names = {"pool": f"{database}/{user}", "database": database, "role": user}
        bounds = self.headroom.limits if self.headroom else ()
        is_full = any(each.free <= 0 and names.get(each.scope) == each.name for each in bounds)
        return is_full or database in self.paused

    @property
    def free_clients(self) -> int | None:
        """Return how many more clients it admits; its server connections may all be busy."""
        return self._clients.free if self.up and self._clients else None

    @property
    def shared_limit(self) -> SharedLimit:
        """Return its limit of clients, as the limit that all pools share."""
        limit = self._clients.limit if self._clients else None
        return SharedLimit(self.bouncer, "max_client_conn", limit, is_bouncer=True)

    @property
    def _clients(self) -> Limit | None:
        bounds = self.headroom.limits if self.headroom else ()
        return next((bound for bound in bounds if bound.scope == "clients"), None)
