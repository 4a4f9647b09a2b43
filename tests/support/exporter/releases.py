"""Builders of the sums of releases."""

from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseKey, ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import ServicePool, service_pool_of
from support.exporter.builders import a_pool


def a_release(
    version: str = "2.0",
    *,
    pool: ServicePool | None = None,
    first_seen_age_s: float = 600.0,
    processes: int = 2,
    live: int = 2,
    checkouts: int | None = 10_000,
    wait_p95_s: float | None = 0.012,
    timeouts: int | None = 0,
    failures: int | None = 0,
    leaks: int | None = 0,
) -> ReleaseNumbers:
    return ReleaseNumbers(
        ReleaseKey(pool or service_pool_of(a_pool()), version),
        processes,
        live,
        first_seen_age_s,
        checkouts,
        wait_p95_s,
        timeouts,
        failures,
        leaks,
    )
