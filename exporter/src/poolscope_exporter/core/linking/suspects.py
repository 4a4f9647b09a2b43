"""Choose the held checkouts to look up on each server, so that all get their turn."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from poolscope_exporter.core.fleet.fleet import Fleet, oldest_first
from poolscope_exporter.core.linking.destination import Place, choose_place, choose_session_server
from poolscope_exporter.core.linking.link import NoLink, pid_defect
from poolscope_exporter.core.linking.through_pgbouncer import client_route
from poolscope_exporter.core.model.checkouts import Checkout, CheckoutKey, Instance
from poolscope_exporter.core.model.pgbouncers import Bouncer
from poolscope_exporter.core.model.servers import LocatedServer

MAX_LOOKED_UP: Final = 1_000
"""The PIDs of one poll: pg_stat_activity reads all sessions anyway, so 1,000 cost as 200 do."""

MISSING_TURNS: Final = 8
"""The number of polls after which a missing session is looked up again."""

Order = tuple[int, bool]
"""The turn of the last look-up, later for a missing session; and True without evidence."""


@dataclass(frozen=True, slots=True)
class _Suspect:
    key: CheckoutKey
    pid: int
    order: Order


class Suspects:
    """The order of look-ups; if a poll has no room for all, none is left out permanently.

    The checkouts not looked up for the longest time come first. Among them come those with evidence
    of a leak, then the longest held. The processes share the room, so that none of them can take
    all of it. A missing session is skipped for some turns, because its PID may be of another
    server.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._looked_up: dict[str, dict[CheckoutKey, int]] = {}
        self._left_out: dict[str, int] = {}

    def choose_pids(
        self,
        server: str,
        fleet: Fleet,
        servers: Sequence[LocatedServer],
        now_s: float,
        *,
        limit: int = MAX_LOOKED_UP,
        bouncers: Sequence[Bouncer] = (),
        is_missing: Callable[[CheckoutKey], bool] = lambda _: False,
    ) -> list[int]:
        """Return the valid backend PIDs to look up on a server, each once, at most `limit`.

        Behind a PgBouncer, this is the PID that PgBouncer reports.
        """
        looked_up = self._looked_up.get(server, {})
        processes: dict[Instance, list[_Suspect]] = {}
        for reported in oldest_first(fleet, now_s):
            checkout = reported.checkout
            place = choose_place(checkout, servers, bouncers)
            located = _locate(checkout, place, servers)
            if located is not None and located[0] == server:
                turn = looked_up.get(checkout.key, 0)
                later = MISSING_TURNS if is_missing(checkout.key) else 0
                order = turn + later, checkout.evidence is None
                suspect = _Suspect(checkout.key, located[1], order)
                processes.setdefault(checkout.pool.instance, []).append(suspect)
        return self._take(server, _in_turn(processes.values()), limit)

    def left_out(self, server: str) -> int:
        """Return how many held checkouts the last poll of a server left out."""
        return self._left_out.get(server, 0)

    def _take(self, server: str, suspects: Iterable[_Suspect], limit: int) -> list[int]:
        self._turn += 1
        before, now = self._looked_up.get(server, {}), dict[CheckoutKey, int]()
        taken: dict[int, None] = {}
        left_out = 0
        for suspect in suspects:
            if suspect.pid in taken or len(taken) < limit:
                taken[suspect.pid] = None
                now[suspect.key] = self._turn
            else:
                left_out += 1
                now[suspect.key] = before.get(suspect.key, 0)
        self._looked_up[server], self._left_out[server] = now, left_out
        return list(taken)


def _in_turn(processes: Iterable[list[_Suspect]]) -> Iterator[_Suspect]:
    """Yield all suspects, one of each process in turn, the left-out ones first."""
    queues = [sorted(suspects, key=lambda suspect: suspect.order) for suspects in processes]
    for row in zip_longest(*queues):
        yield from sorted((each for each in row if each), key=lambda suspect: suspect.order)


def _locate(
    checkout: Checkout, place: Place, servers: Sequence[LocatedServer]
) -> tuple[str, int] | None:
    if isinstance(place, NoLink):
        return None
    if isinstance(place, Bouncer):
        route = client_route(checkout, place)
        if isinstance(route, NoLink):
            return None
        server = choose_session_server(route, place.name, servers)
        return None if isinstance(server, NoLink) else (server.server, route.pid)
    pid = checkout.backend_pid
    return None if pid is None or pid_defect(pid) else (place.server, pid)
