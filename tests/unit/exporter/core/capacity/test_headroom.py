"""Headroom is what the tightest limit leaves, of those that bind anybody."""

import pytest

from poolscope_exporter.core.capacity.headroom import headroom, potential
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from poolscope_exporter.core.model.servers import ServerLimits


def limits(
    role_limits: dict[str, int] | None = None, database_limits: dict[str, int] | None = None
) -> ServerLimits:
    return ServerLimits(
        max_connections=100,
        superuser_reserved=3,
        reserved=2,
        role_limits=role_limits or {},
        database_limits=database_limits or {},
    )


@pytest.mark.parametrize(("sessions", "free"), [(0, 95), (94, 1), (95, 0), (97, 0)])
def test_server_admits_what_is_neither_used_nor_reserved(sessions: int, free: int) -> None:
    room = headroom(limits(), sessions, {}, {})
    assert (room.tightest, room.name, room.free, room.limit) == ("server", "", free, 95)


@pytest.mark.parametrize(
    ("role_limit", "database_limit", "tightest", "name", "free"),
    [
        (20, 30, "role", "shop", 10),
        (30, 12, "database", "orders", 2),
        (1000, 1000, "server", "", 55),
        (65, 65, "server", "", 55),
        (-1, -1, "server", "", 55),
        (10, -1, "role", "shop", 0),
        (0, -1, "role", "shop", 0),
    ],
)
def test_tightest_limit_is_named(
    role_limit: int, database_limit: int, tightest: str, name: str, free: int
) -> None:
    known = limits({"shop": role_limit}, {"orders": database_limit})
    room = headroom(known, 40, {"shop": 10}, {"orders": 10})
    assert (room.tightest, room.name, room.free) == (tightest, name, free)


def test_limit_that_nobody_runs_into_binds_nobody() -> None:
    room = headroom(limits({"retired": 0}), 40, {"shop": 40}, {})
    assert room.tightest == "server"


def test_exporters_own_limit_is_no_concern_of_the_applications() -> None:
    known = limits({"poolscope": 1})
    assert headroom(known, 40, {"poolscope": 1}, {}, own_role="poolscope").free == 55
    assert headroom(known, 40, {"poolscope": 1}, {}).free == 0


@pytest.mark.parametrize(
    ("roles", "databases", "free"),
    [
        ({"shop"}, {"orders"}, 0),
        ({"other"}, {"orders"}, 5),
        ({"other"}, {"other"}, 55),
        (set(), set(), 55),
    ],
)
def test_limits_of_others_leave_a_pool_its_room(
    roles: set[str], databases: set[str], free: int
) -> None:
    known = limits({"shop": 10}, {"orders": 15})
    room = headroom(known, 40, {"shop": 10}, {"orders": 10})
    assert room.free_for(roles, databases) == free


@pytest.mark.parametrize(
    ("maxima", "total"), [([], 0), ([15, 5], 20), ([15, None], None), ([0, 5], 5)]
)
def test_potential_is_unknown_where_one_pool_has_no_limit(
    maxima: list[int | None], total: int | None
) -> None:
    assert potential([PoolNumbers(max=limit) for limit in maxima]) == total
