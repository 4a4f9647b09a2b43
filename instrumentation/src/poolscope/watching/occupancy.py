"""Add up the time for which connections are out, by where their owners are: a sampling profile."""

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Row:
    seconds: float = 0.0
    is_pushed: bool = False


class Occupancy:
    """Seconds of connections that were out, by `OccupancyKey`, since the start of the process.

    Each sample stands for the time since the previous one. So the sum over all rows is the mean
    number of connections that were out, times the time.
    """

    def __init__(self) -> None:
        self._rows: dict[OccupancyKey, _Row] = {}

    def add_sample(self, uses: Iterable[OpenUse], looks: HolderLooks, seconds: float) -> None:
        """Add a sample: each of these connections was out for that many seconds."""
        for index, use in enumerate(uses):
            key = _key(use, looks) if index < MAX_HOLDERS else _other(use, OTHER)
            row = self._rows.get(key) or self._new_row(key)
            row.seconds += seconds
            row.is_pushed = False

    def rows_to_push(self, *, everything: bool = False) -> list[tuple[OccupancyKey, float]]:
        """Return the rows that changed since `mark_pushed`, or all of them."""
        rows = list(self._rows.items())
        return [(key, row.seconds) for key, row in rows if everything or not row.is_pushed]

    def mark_pushed(self, rows: Iterable[tuple[OccupancyKey, float]]) -> None:
        """Note that an exporter has these rows; a row that changed meanwhile is pushed again."""
        for key, seconds in rows:
            row = self._rows.get(key)
            if row is not None and row.seconds == seconds:
                row.is_pushed = True

    def _new_row(self, key: OccupancyKey) -> _Row:
        if len(self._rows) >= MAX_KEYS:
            is_known = key.doing in {Doing.DATABASE, Doing.APPLICATION, Doing.UNKNOWN}
            key = OccupancyKey(
                key.identity,
                OTHER,
                UNKNOWN_SITE,
                UNKNOWN_SITE,
                "",
                key.doing if is_known else OTHER,
            )
        return self._rows.setdefault(key, _Row())


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
