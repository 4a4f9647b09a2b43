"""Convert the sums of each version of a service to the rows of the API."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from poolscope_exporter.core.fleet.service_totals.release_totals import ReleaseNumbers
from poolscope_exporter.core.fleet.service_totals.route_totals import service_pool_of
from poolscope_exporter.core.judging.situation import Situation
from poolscope_exporter.web.selection import WrongQueryError

PARAMETERS: Final[Mapping[str, str]] = {
    "service": "Only versions of this `service.name`.",
    "pool": "Only pools of this name.",
}


def check_release_query(query: Mapping[str, str]) -> None:
    """Raise WrongQueryError if a query has an unknown parameter."""
    strangers = sorted(query.keys() - PARAMETERS.keys())
    if strangers:
        known = ", ".join(PARAMETERS)
        raise WrongQueryError(f"{strangers[0]!r:.80}: unknown parameter; use {known}")


def release_rows(
    releases: Iterable[ReleaseNumbers], situation: Situation, query: Mapping[str, str]
) -> dict[str, Any]:
    """Return the rows of the pools that may be shown, by pool, the newest version first."""
    shown = {service_pool_of(state.pool) for state in situation.pools}
    found = [
        each
        for each in releases
        if each.key.pool in shown
        and query.get("service") in (None, each.key.pool.service)
        and query.get("pool") in (None, each.key.pool.pool)
    ]
    found.sort(key=lambda each: (each.key.pool.service, each.key.pool.pool, each.first_seen_age_s))
    return {"releases": [_row(each) for each in found], "matching": len(found)}


def _row(numbers: ReleaseNumbers) -> dict[str, Any]:
    pool = numbers.key.pool
    return {
        "service": pool.service,
        "service_namespace": pool.namespace,
        "pool": pool.pool,
        "db_namespace": pool.db_namespace,
        "server_address": pool.server_address,
        "server_port": pool.server_port or None,
        "version": numbers.key.version,
        "processes": numbers.processes,
        "live": numbers.live,
        "first_seen_age_s": round(numbers.first_seen_age_s, 3),
        "checkouts": numbers.checkouts,
        "wait_p95_s": _rounded(numbers.wait_p95_s),
        "timeouts": numbers.timeouts,
        "failures": numbers.failures,
        "leaks": numbers.leaks,
        "failed_share": _share(numbers, numbers.timeouts, numbers.failures),
        "leaked_share": _share(numbers, numbers.leaks),
    }


def _share(numbers: ReleaseNumbers, *counts: int | None) -> float | None:
    """Return a count per checkout, because the versions had different traffic."""
    known = [count for count in counts if count is not None]
    return round(sum(known) / numbers.callers, 6) if known and numbers.callers else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
