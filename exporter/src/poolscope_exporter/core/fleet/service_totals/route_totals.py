"""Add up the counters of processes by service and route; the sums outlive each process."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from poolscope.catalogue import OTHER
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.model.checkouts import Instance, Pool

MAX_POOLS = 1_000
MAX_ROUTES_PER_POOL = 200
MAX_ROUTES = 20_000


@dataclass(frozen=True, slots=True, order=True)
class ServicePool:
    """One pool of a service, the same in all of its processes."""

    namespace: str
    service: str
    pool: str
    db_namespace: str
    server_address: str
    server_port: int


@dataclass(frozen=True, slots=True)
class ServiceTotal:
    """The value of one counter of a service for one route."""

    pool: ServicePool
    route: str
    metric: str
    value: float


@dataclass(slots=True)
class _Sums:
    routes: dict[str, dict[str, float]] = field(default_factory=dict)
    counted_at_s: float = 0.0


def service_pool_of(pool: Pool) -> ServicePool:
    """Return the pool without its process."""
    of = pool.instance
    return ServicePool(
        of.namespace, of.name, pool.name, pool.db_namespace, pool.server_address, pool.server_port
    )


def one_pool_of(pool: ServicePool) -> Pool:
    """Return the pool of a service as that of an unnamed process."""
    return Pool(
        Instance(pool.namespace, pool.service, ""),
        pool.pool,
        pool.db_namespace,
        pool.server_address,
        pool.server_port,
    )


class ServiceTotals:
    """Counters by service, pool and route, which never fall and do not end with a process.

    Routes above the limits are counted together as `other`; times are one monotonic clock.
    """

    def __init__(
        self,
        max_pools: int = MAX_POOLS,
        max_routes_per_pool: int = MAX_ROUTES_PER_POOL,
        max_routes: int = MAX_ROUTES,
    ) -> None:
        self._max_pools = max_pools
        self._max_routes_per_pool = max_routes_per_pool
        self._max_routes = max_routes
        self._sums: dict[ServicePool, _Sums] = {}
        self._routes = 0

    def add_growth(
        self, pool: ServicePool, route: str, metric: str, growth: float, now_s: float
    ) -> bool:
        """Add to a counter, also 0; return False if there is no room for its pool."""
        sums = self._sums_of(pool)
        if sums is None:
            return False
        sums.counted_at_s = now_s
        counters = self._counters(sums, route)
        counters[metric] = counters.get(metric, 0.0) + growth
        return True

    def has(self, pool: ServicePool) -> bool:
        """Return whether a pool was counted and has not expired."""
        return pool in self._sums

    def totals(self) -> Iterator[ServiceTotal]:
        """Yield every counter."""
        for pool, sums in self._sums.items():
            for route, counters in sums.routes.items():
                for metric, value in counters.items():
                    yield ServiceTotal(pool, route, metric, value)

    def expire_pools(self, counted_before_s: float) -> None:
        """Drop the pools without any count since `counted_before_s`."""
        for pool, sums in list(self._sums.items()):
            if sums.counted_at_s < counted_before_s:
                self._routes -= len(sums.routes)
                del self._sums[pool]

    def _sums_of(self, pool: ServicePool) -> _Sums | None:
        if pool not in self._sums and len(self._sums) < self._max_pools:
            self._sums[pool] = _Sums()
        return self._sums.get(pool)

    def _counters(self, sums: _Sums, route: str) -> dict[str, float]:
        if counters := sums.routes.get(route):
            return counters
        is_full = len(sums.routes) >= self._max_routes_per_pool or self._routes >= self._max_routes
        name = OTHER if is_full else route
        if name not in sums.routes:
            self._routes += 1
        return sums.routes.setdefault(name, {})


class RouteNames:
    """The named routes of each service's pool; routes above the limits are named `other`.

    The first routes get a name. A route keeps its name while it is used now and then, so that no
    two series swap their names. Times are one monotonic clock.
    """

    def __init__(
        self, max_routes_per_pool: int = MAX_ROUTES_PER_POOL, max_routes: int = MAX_ROUTES
    ) -> None:
        self._max_routes_per_pool = max_routes_per_pool
        self._max_routes = max_routes
        self._used_at_s: dict[ServicePool, dict[str, float]] = {}
        self._routes = 0

    def name(self, pool: ServicePool, route: str, now_s: float) -> str:
        """Return the route, or `other` above the limits; an empty route stays empty."""
        used_at_s = self._used_at_s.get(pool, {})
        if route in used_at_s:
            used_at_s[route] = now_s
            return route
        if not route or route == OTHER:
            return route
        if len(used_at_s) >= self._max_routes_per_pool or self._routes >= self._max_routes:
            return OTHER
        self._used_at_s.setdefault(pool, used_at_s)[route] = now_s
        self._routes += 1
        return route

    def expire_routes(self, now_s: float) -> None:
        """Drop the routes that were not used lately, to make room."""
        for pool, used_at_s in list(self._used_at_s.items()):
            fresh = {
                route: at_s
                for route, at_s in used_at_s.items()
                if at_s >= now_s - COUNTER_RETENTION_S
            }
            self._routes -= len(used_at_s) - len(fresh)
            if fresh:
                self._used_at_s[pool] = fresh
            else:
                del self._used_at_s[pool]
