"""Show one database server as it is now: whether it answers, what it admits, who is there."""

from collections.abc import Mapping
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import SharedLimit
from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.capacity.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.pgbouncers import Bouncer
from poolscope_exporter.core.model.servers import (
    ConfiguredServer,
    ServerIdentity,
    ServerLimits,
    ServerRole,
)
from poolscope_exporter.core.model.sessions import SessionSample


@dataclass(frozen=True, slots=True)
class ServerView:
    """What is known of one configured server; None is unknown.

    `connections` counts sessions by state, `orphans` those that outlived their process, by
    (namespace, name) of its service, `active_on_cpu` those that run and wait for nothing.
    `configured` is what the settings say of it. `reason` says why the server is not up. `place` is
    what it is to its cluster: known also where that is the reason. `is_full`: it turned us away
    because no slot is free.
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
    configured: ConfiguredServer | None = None
    place: ServerRole | None = None
    is_full: bool = False

    @property
    def cpus(self) -> float | None:
        """Return how many CPUs it has, where that is configured."""
        return self.configured.cpus if self.configured else None

    @property
    def proxy_idle_timeout_s(self) -> float | None:
        """Return the idle time-out of a proxy before it, where one is configured."""
        return self.configured.proxy_idle_timeout_s if self.configured else None

    @property
    def shared_limit(self) -> SharedLimit:
        """Return its max_connections, as what limits all pools together."""
        limit = self.limits.max_connections if self.limits else None
        return SharedLimit(self.server, "max_connections", limit)


@dataclass(frozen=True, slots=True)
class BouncerView:
    """What is known of one PgBouncer; None is unknown.

    `clients` counts them by state, without those of its own console. `timeouts_s` holds its
    time-outs by their names, 0 for none; `is_one_of_several`: other processes share its port.
    `paused` are the databases that are paused. `potential_clients` is how many connections the
    pools that lead to it may open together; None where one of them has no limit.
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

    @property
    def idle_timeout(self) -> IdleTimeout:
        """Return when it closes an application's unused connection, as far as it tells."""
        seconds = (self.timeouts_s or {}).get("client_idle_timeout") if self.up else None
        return IdleTimeout(IdleSource.PGBOUNCER, seconds, self.bouncer)

    @property
    def free_clients(self) -> int | None:
        """Return how many more clients it admits; its server connections may all be busy."""
        return self._clients.free if self.up and self._clients else None

    @property
    def shared_limit(self) -> SharedLimit:
        """Return how many clients it admits, as what limits all pools together."""
        limit = self._clients.limit if self._clients else None
        return SharedLimit(self.bouncer, "max_client_conn", limit, is_bouncer=True)

    @property
    def _clients(self) -> Limit | None:
        bounds = self.headroom.limits if self.headroom else ()
        return next((bound for bound in bounds if bound.scope == "clients"), None)
