"""The use of a PgBouncer, by database and user: who waits, and how long all have waited."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_NAMED: Final = 50
"""The most pools or databases with a name; wildcard databases allow any number of them."""

OTHER: Final = "other"
"""The name of all further pools or databases together."""


@dataclass(frozen=True, slots=True)
class LentConnections:
    """One of a PgBouncer's pools, for one database and user; None is unknown.

    The `active` clients have a server connection, or need none. Of the `waiting` ones, the first
    has waited `longest_s`. The server connections are `lent` to clients, or `idle`.
    """

    database: str
    user: str
    active: int | None = None
    waiting: int | None = None
    longest_s: float | None = None
    lent: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseTotals:
    """Counts of one database of a PgBouncer since its start, for all users; None is unknown.

    Clients waited `waited_s` for server connections, which were given to them `assignments` times.
    """

    database: str
    waited_s: float | None = None
    queries: int | None = None
    transactions: int | None = None
    assignments: int | None = None


@dataclass(frozen=True, slots=True)
class BouncerTraffic:
    """The pools and the totals that a PgBouncer shows; None if it refuses them."""

    pools: tuple[LentConnections, ...] | None = None
    totals: tuple[DatabaseTotals, ...] | None = None


def named_pools(pools: Iterable[LentConnections]) -> list[LentConnections]:
    """Return the pools by name; beyond MAX_NAMED, the others together as one."""
    ordered = sorted(pools, key=lambda each: (each.database, each.user))
    rest = ordered[MAX_NAMED:]
    if not rest:
        return ordered
    longest = [each.longest_s for each in rest if each.longest_s is not None]
    together = LentConnections(
        OTHER,
        OTHER,
        active=_sum(each.active for each in rest),
        waiting=_sum(each.waiting for each in rest),
        longest_s=max(longest, default=None),
        lent=_sum(each.lent for each in rest),
        idle=_sum(each.idle for each in rest),
    )
    return [*ordered[:MAX_NAMED], together]


def named_totals(totals: Iterable[DatabaseTotals]) -> list[DatabaseTotals]:
    """Return the totals by name of the database; beyond MAX_NAMED, the others together as one."""
    ordered = sorted(totals, key=lambda each: each.database)
    rest: Sequence[DatabaseTotals] = ordered[MAX_NAMED:]
    if not rest:
        return ordered
    waited = [each.waited_s for each in rest if each.waited_s is not None]
    together = DatabaseTotals(
        OTHER,
        waited_s=sum(waited) if waited else None,
        queries=_sum(each.queries for each in rest),
        transactions=_sum(each.transactions for each in rest),
        assignments=_sum(each.assignments for each in rest),
    )
    return [*ordered[:MAX_NAMED], together]


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
