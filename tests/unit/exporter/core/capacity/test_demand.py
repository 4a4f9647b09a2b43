"""A fleet is added up as it is, and as large as it may become."""

from poolscope_exporter.core.capacity.demand import (
    Demand,
    GrownService,
    LimitedPool,
    SharedLimit,
    demands,
)
from poolscope_exporter.core.capacity.largest_fleet import AS_SEEN, LargestFleet
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from support.exporter.builders import a_pool, an_instance

SERVER = SharedLimit("main", "max_connections", 100)


def limited(
    instance_id: str, most: int | None, *, name: str = "orders", service: str = "shop"
) -> LimitedPool:
    pool = a_pool(an_instance(instance_id, service), name=name)
    return LimitedPool(pool, PoolNumbers(max=most), SERVER)


def demand(*pools: LimitedPool, largest: LargestFleet) -> Demand:
    return demands(pools, largest)[SERVER]


def test_a_service_that_may_grow_is_added_at_its_largest() -> None:
    two = (limited("a", 10), limited("b", 15))
    found = demand(*two, largest=LargestFleet((("shop", 5),)))
    assert found.grown == (GrownService("shop", 5, 3 * 15),)
    assert (found.potential, found.largest) == (25, 70)


def test_all_pools_of_a_process_come_with_the_next_process() -> None:
    one = (limited("a", 10), limited("a", 5, name="reports"))
    assert demand(*one, largest=LargestFleet((), 4)).largest == 4 * 15


def test_a_number_without_a_service_is_for_those_that_are_not_named() -> None:
    both = (limited("a", 10), limited("j", 2, service="jobs"))
    found = demand(*both, largest=LargestFleet((("shop", 2),), 3))
    assert found.grown == (GrownService("jobs", 3, 4), GrownService("shop", 2, 10))


def test_more_processes_than_there_may_be_count_as_they_are() -> None:
    three = (limited("a", 10), limited("b", 10), limited("c", 10))
    assert demand(*three, largest=LargestFleet((), 2)).grown == ()
    assert demand(*three, largest=AS_SEEN).largest == 30


def test_a_pool_without_a_limit_adds_nothing_that_is_known() -> None:
    found = demand(limited("a", None), largest=LargestFleet((), 9))
    assert (found.unlimited, found.largest) == (1, 0)
