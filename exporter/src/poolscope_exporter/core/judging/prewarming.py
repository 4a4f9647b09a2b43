"""Advise to open connections before the first request, if first requests waited for them."""

from collections.abc import Iterator
from typing import Final

from poolscope import catalogue
from poolscope.catalogue import ServingAge
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers

NOTICED_S: Final = 0.1
"""If opening a connection takes less than this on average, no advice is given."""


def first_requests(numbers: PoolNumbers) -> Iterator[str]:
    """Yield how many of a process's first requests waited for a new connection, and the cure.

    Yields nothing if they hardly waited, or for a pool that keeps no connection open.
    """
    growth, age = numbers.growth, ServingAge.FIRST_MINUTE
    waited = growth.of(catalogue.REQUEST_CONNECT_WAITS, age) or 0.0
    mean_s = growth.mean_s(catalogue.CREATE_TIME)
    cure = _cure(numbers)
    if not waited or cure is None or mean_s is None or mean_s < NOTICED_S:
        return
    # A wait is counted when the connection is open, its checkout only when it ends.
    taken = max(waited, growth.of(catalogue.REQUEST_CHECKOUTS, age) or 0.0)
    yield (
        f"{waited:.0f} of {taken:.0f} checkouts in the first minute of requests waited for a new"
        f" connection, which took {mean_s:.2g} s to open on average: {cure}"
    )


def _cure(numbers: PoolNumbers) -> str | None:
    """Return how to open connections before the first request, in the terms of the library."""
    if "Null" in (numbers.pool_class or ""):
        return None
    opened = (numbers.used or 0) + (numbers.idle or 0)
    count = min(opened, numbers.max or opened) or "N"
    match numbers.library:
        case "asyncpg":
            return f"pass min_size={count} to asyncpg.create_pool, and await it at start-up"
        case "psycopg_pool":
            return f"pass min_size={count}, and call pool.open(wait=True) at start-up"
        case "sqlalchemy":
            kept = numbers.size if numbers.size is not None else count
            return (
                f"open pool_size={kept} connections at start-up, because SQLAlchemy has no argument"
                " for it: docs/fastapi.md has the code"
            )
    return None
