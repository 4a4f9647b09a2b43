"""Calculate how many more pods of a service fit under the limit on its connections."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from poolscope_exporter.core.capacity.demand import LimitedPool
from poolscope_exporter.core.capacity.known_sum import known_sum
from poolscope_exporter.core.capacity.pods import Place, place_of
from poolscope_exporter.core.fleet.fleet import InstanceState
from poolscope_exporter.core.model.checkouts import Instance

_Service = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RoomForPods:
    """The number of further pods of a service that fit, if every pool grows to its maximum.

    The counted unit is `kind`: pod, container, host, or process if no place is known. The number
    that run now is `pods`, and the largest of them may open `connections`. The result `more` is
    None if the limit is unknown or a pool has no limit.
    """

    namespace: str
    service: str
    kind: str
    pods: int
    connections: int | None
    more: int | None


@dataclass(frozen=True, slots=True)
class PoolAtLimit:
    """A pool under its limit; `free` is the number of further connections, None if unknown."""

    limited: LimitedPool
    free: int | None


def room_for_pods(
    pools: Iterable[PoolAtLimit], states: Iterable[InstanceState]
) -> dict[str, tuple[RoomForPods, ...]]:
    """Return the room for each service, by the name of the server or PgBouncer that limits it."""
    places = {state.instance: place_of(state) for state in states}
    under: dict[str, list[PoolAtLimit]] = {}
    for each in pools:
        if each.limited.limit.name:
            under.setdefault(each.limited.limit.name, []).append(each)
    return {name: tuple(_rooms(members, places)) for name, members in under.items()}


def _rooms(
    pools: Sequence[PoolAtLimit], places: dict[Instance, Place | None]
) -> Iterable[RoomForPods]:
    to_open = known_sum(_to_open(each) for each in pools)
    services: dict[_Service, list[PoolAtLimit]] = {}
    for each in pools:
        owner = each.limited.pool.instance
        services.setdefault((owner.namespace, owner.name), []).append(each)
    for (namespace, service), members in sorted(services.items()):
        by_place: dict[Place, list[int | None]] = {}
        for each in members:
            owner = each.limited.pool.instance
            place = places.get(owner) or ("process", owner.id)
            by_place.setdefault(place, []).append(each.limited.numbers.max)
        sizes = [known_sum(limits) for limits in by_place.values()]
        largest = max((size for size in sizes if size is not None), default=None)
        largest = None if None in sizes else largest
        kinds = sorted({kind for kind, _ in by_place})
        more = _more(members, to_open, largest)
        yield RoomForPods(namespace, service, kinds[0], len(by_place), largest, more)


def _more(members: Sequence[PoolAtLimit], to_open: int | None, size: int | None) -> int | None:
    free = [each.free for each in members if each.free is not None]
    if not free or to_open is None or not size:
        return None
    return max(0, min(free) - to_open) // size


def _to_open(each: PoolAtLimit) -> int | None:
    """Return how many more connections a pool may open."""
    numbers = each.limited.numbers
    if numbers.max is None:
        return None
    return max(0, numbers.max - (numbers.used or 0) - (numbers.idle or 0))
