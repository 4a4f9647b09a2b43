"""Bound the routes that are told by name where the sum over all of them has no other bound."""

from poolscope.catalogue import OTHER
from poolscope_exporter.core.fleet.retention import COUNTER_RETENTION_S
from poolscope_exporter.core.fleet.route_totals import MAX_ROUTES, MAX_ROUTES_PER_POOL, ServicePool


class RouteNames:
    """The first routes of each service's pool keep their name; those beyond the caps are `other`.

    A route keeps its name as long as it is asked for now and then, so that no series changes
    places with another. Times are one monotonic clock.
    """

    def __init__(
        self, max_routes_per_pool: int = MAX_ROUTES_PER_POOL, max_routes: int = MAX_ROUTES
    ) -> None:
        self._max_routes_per_pool = max_routes_per_pool
        self._max_routes = max_routes
        self._told_at_s: dict[ServicePool, dict[str, float]] = {}
        self._routes = 0

    def name(self, pool: ServicePool, route: str, now_s: float) -> str:
        """Return the route, or `other`; what has no route is neither."""
        told = self._told_at_s.get(pool, {})
        if route in told:
            told[route] = now_s
            return route
        if not route or route == OTHER:
            return route
        if len(told) >= self._max_routes_per_pool or self._routes >= self._max_routes:
            return OTHER
        self._told_at_s.setdefault(pool, told)[route] = now_s
        self._routes += 1
        return route

    def forget(self, now_s: float) -> None:
        """Make room of the routes that nobody asked for in a while."""
        for pool, told in list(self._told_at_s.items()):
            fresh = {
                route: at_s for route, at_s in told.items() if at_s >= now_s - COUNTER_RETENTION_S
            }
            self._routes -= len(told) - len(fresh)
            if fresh:
                self._told_at_s[pool] = fresh
            else:
                del self._told_at_s[pool]
