"""Convert the use of a PgBouncer to rows; document them field by field."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from poolscope_exporter.core.model.bouncer_traffic import (
    BouncerTraffic,
    DatabaseTotals,
    LentConnections,
    named_pools,
    named_totals,
)


class BouncerPoolRow(BaseModel):
    """The pool of a PgBouncer for one database and user; null is unknown."""

    database: str = Field(description="Name of the database in PgBouncer; `other` for the rest.")
    user: str = Field(description="User of the pool; `other` for the rest.")
    active: int | None = Field(description="Clients that do not wait.")
    waiting: int | None = Field(description="Clients that wait for a server connection.")
    longest_wait_s: float | None = Field(
        description="Seconds for which the first of them has waited; 0 if none waits."
    )
    lent: int | None = Field(description="Server connections that are lent to clients.")
    idle: int | None = Field(description="Server connections that are idle.")


class BouncerDatabaseRow(BaseModel):
    """Counts of one database since the start of its PgBouncer; null is unknown."""

    database: str = Field(description="Name of the database in PgBouncer; `other` for the rest.")
    waited_s_total: float | None = Field(
        description="Seconds that clients waited for a server connection."
    )
    queries_total: int | None = Field(description="Queries of all clients.")
    transactions_total: int | None = Field(description="Transactions of all clients.")
    assignments_total: int | None = Field(
        description="Times that a client got a server connection; null before PgBouncer 1.23."
    )


def traffic_fields(traffic: BouncerTraffic | None) -> Mapping[str, Any]:
    """Return the pools and databases of a PgBouncer; None is unknown."""
    if traffic is None:
        return {"pools": None, "databases": None}
    pools, totals = traffic.pools, traffic.totals
    return {
        "pools": None if pools is None else [_pool(each) for each in named_pools(pools)],
        "databases": None if totals is None else [_database(each) for each in named_totals(totals)],
    }


def _pool(pool: LentConnections) -> Mapping[str, Any]:
    return {
        "database": pool.database,
        "user": pool.user,
        "active": pool.active,
        "waiting": pool.waiting,
        "longest_wait_s": pool.longest_s,
        "lent": pool.lent,
        "idle": pool.idle,
    }


def _database(totals: DatabaseTotals) -> Mapping[str, Any]:
    return {
        "database": totals.database,
        "waited_s_total": totals.waited_s,
        "queries_total": totals.queries,
        "transactions_total": totals.transactions,
        "assignments_total": totals.assignments,
    }
