"""Headroom of a PgBouncer: what its tightest limit leaves, of those that somebody runs into."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from poolscope_exporter.core.capacity.headroom import Headroom
from poolscope_exporter.core.capacity.pgbouncer_headroom import (
    BouncerDatabase,
    BouncerLimits,
    bouncer_headroom,
)
from support.exporter.builders import a_bouncer_sample

SHOP = ("orders", "shop")
LIMITS = BouncerLimits(100, {"orders": BouncerDatabase(20)})


def room(
    limits: BouncerLimits = LIMITS,
    clients: int = 10,
    serving: Mapping[tuple[str, str], int] | None = None,
) -> Headroom:
    sample = replace(a_bouncer_sample(), total_clients=clients, serving=serving or {})
    return bouncer_headroom(limits, sample)


@pytest.mark.parametrize(("clients", "free"), [(0, 100), (99, 1), (100, 0), (101, 0)])
def test_clients_are_admitted_up_to_their_limit(clients: int, free: int) -> None:
    found = room(clients=clients)
    assert (found.tightest, found.name, found.free, found.limit) == ("clients", "", free, 100)


def test_pool_of_server_connections_has_room_while_some_serve_nobody() -> None:
    found = room(serving={SHOP: 18})
    assert (found.tightest, found.name, found.free) == ("pool", "orders/shop", 2)


def test_each_user_of_a_database_has_a_pool() -> None:
    found = room(serving={SHOP: 5, ("orders", "reports"): 19})
    assert (found.name, found.free) == ("orders/reports", 1)


def test_database_and_user_may_be_limited_across_pools() -> None:
    serving = {SHOP: 5, ("orders", "reports"): 6, ("stock", "shop"): 7}
    databases = {"orders": BouncerDatabase(20, 12), "stock": BouncerDatabase(20)}
    found = room(BouncerLimits(100, databases), serving=serving)
    assert (found.tightest, found.name, found.free) == ("database", "orders", 1)
    found = room(BouncerLimits(100, databases, {"shop": 12}), serving=serving)
    assert (found.tightest, found.name, found.free) == ("role", "shop", 0)


def test_limits_that_nobody_runs_into_bind_nobody() -> None:
    databases = {"orders": BouncerDatabase(20), "retired": BouncerDatabase(0, 0)}
    found = room(BouncerLimits(100, databases, {"retired": 0}), serving={SHOP: 1})
    assert [bound.scope for bound in found.limits] == ["clients", "pool"]


def test_pool_of_a_database_whose_limits_are_not_told_is_left_out() -> None:
    assert [bound.scope for bound in room(BouncerLimits(100), serving={SHOP: 1}).limits] == [
        "clients"
    ]


def test_paused_databases_are_named() -> None:
    databases = {"orders": BouncerDatabase(20, is_paused=True), "stock": BouncerDatabase(20)}
    assert BouncerLimits(100, databases).paused == {"orders"}
