"""Show one PgBouncer as it is now: whether it answers, whom it serves, what it admits."""

from collections.abc import Mapping
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import SharedLimit
from poolscope_exporter.core.capacity.headroom import Headroom, Limit
from poolscope_exporter.core.capacity.idle_timeouts import IdleSource, IdleTimeout
from poolscope_exporter.core.model.pgbouncers import Bouncer


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
