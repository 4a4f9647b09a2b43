"""Add up the pools of one name over the processes that share a pod, a container or a host."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolscope.catalogue import CONTAINER_ID, HOST_NAME, K8S_NAMESPACE_NAME, K8S_POD_NAME
from poolscope_exporter.core.capacity.container_limits import (
    NO_LIMITS,
    ContainerLimits,
    common_limits,
)
from poolscope_exporter.core.capacity.known_sum import known_sum
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.fleet.pool_numbers import ONE_MAXIMUM, PoolNumbers
from poolscope_exporter.core.model.checkouts import Pool

Place = tuple[str, str]
"""The kind of place and its name."""

_Kind = tuple[Place, str, str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class PodDemand:
    """The connections that the processes of one place keep and may open, together.

    The `kind` is pod, container or host. All their pools of this name keep `size` connections
    (`pool_size`, or the single maximum of the library), and may open `most`. Both are None if a
    pool has no limit. The `limits` of their container are set only if all processes report the
    same.
    """

    kind: str
    processes: int
    size: int | None
    most: int | None
    limits: ContainerLimits = NO_LIMITS


def place_of(state: InstanceState) -> Place | None:
    """Return where a process runs: its pod, else its container, else its host; None if unknown."""
    resource = state.resource
    if pod := resource.get(K8S_POD_NAME):
        return "pod", f"{resource.get(K8S_NAMESPACE_NAME, '')}/{pod}"
    if container := resource.get(CONTAINER_ID):
        return "container", container
    host = resource.get(HOST_NAME)
    return ("host", host) if host else None


def pod_demands(
    pools: Iterable[tuple[Pool, PoolNumbers]], states: Iterable[InstanceState]
) -> dict[Pool, PodDemand]:
    """Return each pool's demand together with its kind in one place, or alone if that is unknown.

    Two pools are of one kind if their service, name, database and server are the same.
    """
    located = {
        state.instance: (place, state.resource)
        for state in states
        if (place := place_of(state)) is not None
    }
    together: dict[_Kind, list[tuple[Pool, PoolNumbers]]] = {}
    for pool, numbers in pools:
        if pool.instance in located:
            place, _ = located[pool.instance]
            together.setdefault(_kind(pool, place), []).append((pool, numbers))
    found = {}
    for (place, *_), members in together.items():
        limits = common_limits(located[pool.instance][1] for pool, _ in members)
        demand = _demand(place, [numbers for _, numbers in members], limits)
        found.update({pool: demand for pool, _ in members})
    return found


def _kind(pool: Pool, place: Place) -> _Kind:
    owner = pool.instance
    return (
        place,
        owner.namespace,
        owner.name,
        pool.name,
        pool.db_namespace,
        pool.server_address,
        pool.server_port,
    )


def _demand(place: Place, members: list[PoolNumbers], limits: ContainerLimits) -> PodDemand:
    sizes = [_kept(each) for each in members]
    most = [each.max for each in members]
    return PodDemand(place[0], len(members), known_sum(sizes), known_sum(most), limits)


def _kept(numbers: PoolNumbers) -> int | None:
    """Return the connections that a pool may keep: its maximum, if that is its only limit."""
    if numbers.library in ONE_MAXIMUM or numbers.size is None:
        return numbers.max
    return numbers.size
