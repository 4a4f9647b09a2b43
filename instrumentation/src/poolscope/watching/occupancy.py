"""Add up the time for which connections are out, by where their owners are: a sampling profile."""

import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

from poolscope.catalogue import OTHER, Doing
from poolscope.recording.callsite import UNKNOWN_SITE, Site
from poolscope.recording.pool import PoolIdentity
from poolscope.watching.holder_looks import MAX_HOLDERS, HolderLooks, OpenUse

MAX_KEYS: Final = 200
"""Most rows of the table in one process; the time of further ones is `other`."""


class OccupancyKey(NamedTuple):
    """The row of one kind of occupancy: who took the connection, and where the owner is."""

    identity: PoolIdentity
    route: str
    taken: Site
    now: Site
    call: str
    doing: str


class Occupancy:
    """Seconds of connections that were out, by `OccupancyKey`, since the last push that arrived.

    Each sample stands for the time since the previous one. So the sum over all rows is the mean
    number of connections that were out, times the time. The threads of the watcher and the pusher
    share the table; no hook uses it.
    """

    def __init__(self) -> None:
        self._rows: dict[OccupancyKey, float] = {}
        self._changing = threading.Lock()

    def add_look(self, uses: Iterable[OpenUse], looks: HolderLooks, seconds: float) -> None:
        """Add a sample: each of these connections was out for that many seconds."""
        keys = [
            _key(use, looks) if index < MAX_HOLDERS else _other(use, OTHER)
            for index, use in enumerate(uses)
        ]
        with self._changing:
            for key in keys:
                self._add(key, seconds)

    def take_rows(self) -> list[tuple[OccupancyKey, float]]:
        """Return the rows and start again; `restore_rows` undoes this if a push does not arrive."""
        with self._changing:
            taken, self._rows = self._rows, {}
        return list(taken.items())

    def restore_rows(self, rows: Iterable[tuple[OccupancyKey, float]]) -> None:
        """Add rows again that no exporter got."""
        with self._changing:
            for key, seconds in rows:
                self._add(key, seconds)

    def _add(self, key: OccupancyKey, seconds: float) -> None:
        if key not in self._rows and len(self._rows) >= MAX_KEYS:
            is_known = key.doing in {Doing.DATABASE, Doing.APPLICATION, Doing.UNKNOWN}
            doing = key.doing if is_known else OTHER
            key = OccupancyKey(key.identity, OTHER, UNKNOWN_SITE, UNKNOWN_SITE, "", doing)
        self._rows[key] = self._rows.get(key, 0.0) + seconds


def _key(use: OpenUse, looks: HolderLooks) -> OccupancyKey:
    checkout = use.checkout
    sighting = looks.holder_sighting(checkout.id)
    if sighting is None:
        return _other(use, Doing.UNKNOWN)
    request, position = checkout.request, sighting.position
    route = (request.route if request is not None else None) or ""
    return OccupancyKey(
        use.identity, route, checkout.site, position.site, position.call or "", position.doing
    )


def _other(use: OpenUse, doing: str) -> OccupancyKey:
    """Return the key of a connection with an owner that cannot be read, or was not looked at."""
    request = use.checkout.request
    route = (request.route if request is not None else None) or ""
    return OccupancyKey(use.identity, route, use.checkout.site, UNKNOWN_SITE, "", doing)
