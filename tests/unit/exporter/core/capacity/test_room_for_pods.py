"""How many more pods fit is counted with every pool at its largest."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolscope import catalogue
from poolscope_exporter.core.capacity.demand import LimitedPool, SharedLimit
from poolscope_exporter.core.capacity.room_for_pods import (
    PoolAtLimit,
    RoomForPods,
    room_for_pods,
)
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from support.exporter.builders import a_point, a_pool, a_push, an_instance

SERVER = SharedLimit("main", "max_connections", 100)


def a_pod(number: int) -> Mapping[str, str]:
    return {catalogue.K8S_POD_NAME: f"shop-{number}"}


def rooms(
    *processes: tuple[Mapping[str, str], PoolNumbers], free: int | None, limit: SharedLimit = SERVER
) -> tuple[RoomForPods, ...]:
    """Return the room where each process of one service runs in this place with this pool."""
    fleet, pools = Fleet(), []
    for number, (resource, numbers) in enumerate(processes):
        instance = an_instance(f"shop-{number}")
        pool = a_pool(instance)
        point = a_point(catalogue.MAX, 1, pool=pool)
        fleet.record_push(a_push(point, instance=instance, resource=resource), 100.0)
        pools.append(PoolAtLimit(LimitedPool(pool, numbers, limit), free))
    return room_for_pods(pools, fleet.instances(100.0)).get("main", ())


def open_(used: int, idle: int = 0, most: int | None = 10) -> PoolNumbers:
    return PoolNumbers(used=used, idle=idle, max=most)


def test_a_pod_is_all_its_workers() -> None:
    four_workers = [(a_pod(1), open_(5, 5))] * 4
    assert rooms(*four_workers, free=100) == (RoomForPods("acme", "shop", "pod", 1, 40, 2),)


def test_what_the_pools_may_still_open_is_not_room() -> None:
    (room,) = rooms((a_pod(1), open_(1, 1)), (a_pod(2), open_(0)), free=38)
    assert (room.pods, room.more) == (2, 2)  # 38 less 8 and 10, in tens


def test_no_room_is_none_and_not_less() -> None:
    (room,) = rooms((a_pod(1), open_(0)), free=3)
    assert room.more == 0


def test_the_largest_pod_says_how_large_the_next_is() -> None:
    (room,) = rooms((a_pod(1), open_(10)), (a_pod(2), open_(30, most=30)), free=59)
    assert (room.connections, room.more) == (30, 1)


def test_without_a_place_each_process_is_one() -> None:
    (room,) = rooms(({}, open_(10)), ({}, open_(10)), free=25)
    assert (room.kind, room.pods, room.more) == ("process", 2, 2)


@pytest.mark.parametrize(("most", "free"), [(None, 50), (10, None), (0, 50)])
def test_what_is_not_known_is_not_counted(most: int | None, free: int | None) -> None:
    (room,) = rooms((a_pod(1), open_(1, most=most)), free=free)
    assert room.more is None


def test_a_pool_that_leads_nowhere_known_has_no_room() -> None:
    assert rooms((a_pod(1), open_(1)), free=50, limit=SharedLimit()) == ()


@given(
    pools=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), min_size=1, max_size=8),
    free=st.integers(0, 200),
)
def test_so_many_fit_and_not_one_more(pools: list[tuple[int, int]], free: int) -> None:
    processes = [(a_pod(pod), open_(used, most=20)) for pod, used in pools]
    (room,) = rooms(*processes, free=free)
    to_open = sum(20 - used for _, used in pools)
    assert room.connections is not None
    assert room.more is not None
    left = free - to_open - room.more * room.connections
    assert left >= 0 or room.more == 0
    assert left < room.connections
