"""Pools are added up over the processes of one pod, and no further than that."""

from collections.abc import Mapping

import pytest

from poolscope import catalogue
from poolscope_exporter.core.capacity.container_limits import (
    NO_LIMITS,
    ContainerLimits,
    limits_of,
)
from poolscope_exporter.core.capacity.demand import NOWHERE
from poolscope_exporter.core.capacity.pods import PodDemand, pod_demands
from poolscope_exporter.core.checks.model import CheckId, ConfigCheck, Result
from poolscope_exporter.core.checks.rules import PoolChecks
from poolscope_exporter.core.fleet.fleet import Fleet
from poolscope_exporter.core.fleet.pool_numbers import PoolNumbers
from support.exporter.builders import a_point, a_pool, a_push, an_instance, pool_points

POD = {catalogue.K8S_POD_NAME: "shop-5d9", "k8s.namespace.name": "acme"}
CONTAINER = {"container.id": "4f2c"}
HOST = {catalogue.HOST_NAME: "vm-7"}


def demands(
    *resources: Mapping[str, str], size: int = 20, library: str = "sqlalchemy"
) -> list[PodDemand | None]:
    """Return what a service demands of which one process pushes from each of these places."""
    fleet = Fleet()
    pools = []
    for number, resource in enumerate(resources):
        instance = an_instance(f"shop-{number}")
        pools.append(pool := a_pool(instance))
        points = (
            *pool_points(pool, limit=2 * size),
            a_point(catalogue.POOL_SIZE, size, pool=pool),
            a_point(catalogue.POOL_INFO, 1, pool=pool, attributes={catalogue.LIBRARY: library}),
        )
        fleet.record_push(a_push(*points, instance=instance, resource=resource), 100.0)
    found = pod_demands(fleet.pools(100.0).items(), fleet.instances(100.0))
    return [found.get(pool) for pool in pools]


@pytest.mark.parametrize(
    ("place", "kind"), [(POD, "pod"), (CONTAINER, "container"), (HOST, "host")]
)
def test_four_workers_of_one_place_demand_four_times_as_much(
    place: Mapping[str, str], kind: str
) -> None:
    assert demands(*[place] * 4) == [PodDemand(kind, 4, 80, 160)] * 4


@pytest.mark.parametrize("library", ["asyncpg", "psycopg_pool"])
def test_pools_without_overflow_keep_their_maximum_and_not_their_minimum(library: str) -> None:
    assert demands(POD, POD, size=1, library=library) == [PodDemand("pod", 2, 4, 4)] * 2


def test_a_pod_is_told_from_the_host_that_it_shares() -> None:
    other = {**POD, catalogue.K8S_POD_NAME: "shop-7c1"}
    found = demands({**POD, **HOST}, {**other, **HOST})
    assert found == [PodDemand("pod", 1, 20, 40)] * 2


def test_pods_of_one_name_in_two_namespaces_are_two() -> None:
    found = demands(POD, {**POD, "k8s.namespace.name": "test"})
    assert found == [PodDemand("pod", 1, 20, 40)] * 2


def test_a_process_that_names_no_place_is_added_to_none() -> None:
    assert demands({}, {}) == [None, None]


def test_without_a_limit_of_one_the_sum_is_not_known() -> None:
    fleet, instances = Fleet(), [an_instance("a"), an_instance("b")]
    for instance, points in zip(instances, ((), pool_points(a_pool(instances[1]))), strict=True):
        used = a_point(
            catalogue.COUNT,
            1,
            pool=a_pool(instance),
            attributes={catalogue.CONNECTION_STATE: "used"},
        )
        fleet.record_push(a_push(used, *points, instance=instance, resource=POD), 100.0)
    found = pod_demands(fleet.pools(100.0).items(), fleet.instances(100.0))
    assert set(found.values()) == {PodDemand("pod", 2, None, None)}


def test_the_limits_of_a_container_are_those_that_all_its_processes_tell() -> None:
    limited = {
        **POD,
        catalogue.CONTAINER_CPU_LIMIT: "2.0",
        catalogue.CONTAINER_MEMORY_LIMIT: "536870912",
    }
    limits = ContainerLimits(2.0, 512 * 2**20)
    assert demands(limited, limited) == [PodDemand("pod", 2, 40, 80, limits)] * 2
    assert demands(limited, POD) == [PodDemand("pod", 2, 40, 80)] * 2


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "0", "two", "1e999"])
def test_a_limit_that_is_none_is_not_known(text: str) -> None:
    told = {catalogue.CONTAINER_CPU_LIMIT: text, catalogue.CONTAINER_MEMORY_LIMIT: text}
    assert limits_of(told) == NO_LIMITS


def c1(pod: PodDemand | None, size: int, library: str = "sqlalchemy") -> ConfigCheck:
    numbers = PoolNumbers(
        library=library, pool_class="QueuePool", size=size, max_overflow=size, max=2 * size
    )
    found = PoolChecks().check_pool(numbers, (), NOWHERE, pod=pod)
    return next(check for check in found if check.check_id is CheckId.C1)


def test_c1_judges_the_pod() -> None:
    check = c1(PodDemand("pod", 4, 80, 160), 20)
    assert (check.result, check.value) == (Result.WARN, 80)
    assert (check.setting, check.safe_range) == (
        "pool_size of the 4 processes of a pod",
        "5 to 20 in a pod",
    )
    assert check.cure == (
        "4 processes with pool_size 20 + max_overflow 20 keep 80 connections, and may open 160: "
        "lower pool_size, or run fewer processes in a pod"
    )


def test_c1_of_pools_without_overflow_names_their_maximum_once() -> None:
    assert c1(PodDemand("pod", 4, 80, 80), 10, "psycopg_pool").cure == (
        "4 processes with max_size 20 keep 80 connections: lower max_size, or run fewer processes "
        "in a pod"
    )


def test_c1_sets_the_sum_beside_the_limits_of_the_container() -> None:
    limits = ContainerLimits(1.0, 512 * 2**20)
    cure = c1(PodDemand("container", 4, 80, 160, limits), 20).cure
    assert cure is not None
    assert "open 160, where they have 1 CPU and 512 MiB of memory: lower pool_size" in cure


def test_c1_of_processes_that_differ_names_none_of_their_sizes() -> None:
    cure = c1(PodDemand("pod", 3, 65, 130), 20).cure
    assert cure is not None
    assert cure.startswith("3 processes keep 65 connections, and may open 130: ")


def test_c1_of_small_pools_is_well_if_their_sum_is() -> None:
    assert c1(PodDemand("pod", 4, 8, 16), 2).result is Result.OK
    assert c1(PodDemand("pod", 1, 2, 4), 2).result is Result.WARN
    assert c1(None, 2).result is Result.WARN


def test_c1_does_not_warn_of_pools_of_one_connection_for_jobs_in_turn() -> None:
    assert c1(PodDemand("pod", 2, 2, 2), 1).result is Result.OK
    assert c1(PodDemand("pod", 2, 2, 3), 1).result is Result.WARN


def test_c1_of_a_pod_of_which_one_process_tells_too_little_is_unknown() -> None:
    assert c1(PodDemand("host", 2, None, None), 10).result is Result.UNKNOWN
