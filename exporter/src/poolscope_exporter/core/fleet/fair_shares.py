"""Decide who gives way when the room that all senders share is used up.

A sender is the owner of a token or, without tokens, a service. Each may use the same part of the
room, and more as long as the others leave it free.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

from poolscope_exporter.core.fleet.process import Process
from poolscope_exporter.core.model.pushes import Push


class Room(Enum):
    """A kind of room that processes share."""

    HELD = "held checkouts"
    SESSIONS = "backend PIDs"
    SERIES = "series"
    INSTANCES = "instances"

    def used_by(self, process: Process) -> int:
        """Return how much of the room a process uses."""
        if self is Room.INSTANCES:
            return 1
        if self is Room.HELD:
            return process.shares.held.used
        return (process.shares.sessions if self is Room.SESSIONS else process.shares.series).used

    def needed_by(self, push: Push) -> int:
        """Return how much of the room a push needs, its process included."""
        if self is Room.HELD:
            return sum(len(each.listed) for each in push.held)
        if self is Room.SESSIONS:
            return sum(map(len, push.backend_pids.values()))
        return len(push.points) if self is Room.SERIES else 1


def owner_of(push: Push) -> str:
    """Return the sender that a push counts for."""
    return push.owner or f"{push.instance.namespace}/{push.instance.name}"


def usage(room: Room, processes: Iterable[Process]) -> Counter[str]:
    """Return how much of a room each sender uses."""
    used: Counter[str] = Counter()
    for process in processes:
        used[process.owner] += room.used_by(process)
    return used


def fair_share(used: Mapping[str, int], claimant: str, limit: int) -> int:
    """Return how much of the room each sender may use while all of it is used."""
    return limit // len({claimant, *used})


def gives_way(used: Mapping[str, int], claimant: str, limit: int) -> str | None:
    """Return the sender that is most above its share; None if the claimant has its own already."""
    share = fair_share(used, claimant, limit)
    heaviest = max(used, key=lambda owner: used[owner], default=claimant)
    if used.get(claimant, 0) >= share or used.get(heaviest, 0) <= share:
        return None
    return heaviest


def largest_of(owner: str, room: Room, processes: Iterable[Process]) -> Process:
    """Return the process of a sender that uses most of a room; of equals, the longest silent."""
    own = (process for process in processes if process.owner == owner)
    return max(own, key=lambda each: (room.used_by(each), -each.last_push_s))
