"""Choose the held checkouts that are looked up on the server."""

from collections.abc import Sequence

from poolscope_exporter.core.fleet.fleet import (
    Fleet,
    oldest_first,
)
from poolscope_exporter.core.linking.destination import Place, choose_place, choose_session_server
from poolscope_exporter.core.linking.link import NoLink, pid_defect
from poolscope_exporter.core.linking.through_pgbouncer import client_route
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.pgbouncers import Bouncer
from poolscope_exporter.core.model.servers import LocatedServer


def suspects(
    fleet: Fleet,
    servers: Sequence[LocatedServer],
    now_s: float,
    limit: int = 200,
    bouncers: Sequence[Bouncer] = (),
) -> dict[str, list[int]]:
    """Return the backend pids to look up, by server: valid, each once, of the oldest checkouts.

    `limit` is per server. A server that nobody holds a connection of is not in the answer.
    Behind a bouncer, the pid is the one that the bouncer knows.
    """
    found: dict[str, dict[int, None]] = {}
    for reported in oldest_first(fleet, now_s):
        place = choose_place(reported.checkout, servers, bouncers)
        suspect = _suspect(reported.checkout, place, servers)
        if suspect is None:
            continue
        server, pid = suspect
        pids = found.setdefault(server, {})
        if len(pids) < limit:
            pids[pid] = None
    return {server: list(pids) for server, pids in found.items()}


def _suspect(
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
