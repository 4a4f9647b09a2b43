"""Show one database server as it is now: whether it answers, what it admits, who is there."""

from collections.abc import Mapping
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import SharedLimit
from poolscope_exporter.core.capacity.headroom import Headroom
from poolscope_exporter.core.model.servers import ServerRole
from poolscope_exporter.core.model.sessions import Endpoint, Sample, ServerIdentity, ServerLimits


@dataclass(frozen=True, slots=True)
class ServerView:
    """What is known of one configured server; None is unknown.

    `connections` counts sessions by state, `orphans` those that outlived their process, by
    (namespace, name) of its service, `active_on_cpu` those that run and wait for nothing. `cpus`,
    `addresses` and `proxy_idle_timeout_s` are settings. `reason` says why the server is not up.
    `place` is what it is to its cluster: known also where that is the reason. `is_full`: it turned
    us away because no slot is free.
    """

    server: str
    up: bool
    reason: str | None = None
    identity: ServerIdentity | None = None
    limits: ServerLimits | None = None
    connections: Mapping[str, int] | None = None
    headroom: Headroom | None = None
    last_success_age_s: float | None = None
    sample: Sample | None = None
    orphans: Mapping[tuple[str, str], int] | None = None
    active_on_cpu: int | None = None
    cpus: float | None = None
    addresses: frozenset[Endpoint] = frozenset()
    proxy_idle_timeout_s: float | None = None
    place: ServerRole | None = None
    is_full: bool = False

    @property
    def shared_limit(self) -> SharedLimit:
        """Return its max_connections, as what limits all pools together."""
        limit = self.limits.max_connections if self.limits else None
        return SharedLimit(self.server, "max_connections", limit)
