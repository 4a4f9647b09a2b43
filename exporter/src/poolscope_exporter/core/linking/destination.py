"""Decide to which server or PgBouncer a checkout's connection leads."""

from collections.abc import Sequence

from poolscope_exporter.core.linking.link import (
    NoLink,
    Unlinked,
    pid_defect,
)
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint, has_address, is_loopback
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    BouncerServer,
    socket_of,
)
from poolscope_exporter.core.model.servers import LocatedServer

Place = LocatedServer | Bouncer | NoLink


def choose_server(checkout: Checkout, servers: Sequence[LocatedServer]) -> LocatedServer | NoLink:
    """Return the server to which the checkout's connection leads, or why it is unknown.

    The peer of the socket decides. If no server has that address, for example behind a proxy, the
    configured address of the application decides.
    """
    if not servers:
        return NoLink(Unlinked.NO_SERVER, None)
    for target in (checkout.peer, configured_end(checkout)):
        matches = [s for s in servers if target and has_address(s.addresses, target)]
        if len(matches) > 1:
            return NoLink(Unlinked.AMBIGUOUS, None)
        if matches:
            return matches[0]
    return NoLink(Unlinked.UNKNOWN_SERVER, None)


def configured_end(checkout: Checkout) -> Endpoint:
    """Return the address that is configured in the application."""
    return Endpoint(checkout.pool.server_address, checkout.pool.server_port)


def choose_place(
    checkout: Checkout, servers: Sequence[LocatedServer], bouncers: Sequence[Bouncer]
) -> Place:
    """Return the server or PgBouncer to which the checkout's connection leads, or why none.

    The socket's peer decides. If it matches none, for example behind a load balancer, the only
    PgBouncer with this connection as a client is used. Otherwise the configured address of the
    application decides.
    """
    peer, configured = checkout.peer, configured_end(checkout)
    if peer and (chosen := _by_address(checkout, bouncers, peer)):
        return chosen
    if peer and any(has_address(server.addresses, peer) for server in servers):
        return choose_server(checkout, servers)
    if holder := _by_client(checkout, bouncers):
        return holder
    return _by_address(checkout, bouncers, configured) or choose_server(checkout, servers)


def choose_session_server(
    connection: BouncerServer, bouncer: str, servers: Sequence[LocatedServer]
) -> LocatedServer | NoLink:
    """Return the server to which a PgBouncer's connection leads, or why none can be queried."""
    if not servers:
        return NoLink(Unlinked.NO_SERVER, None, bouncer)
    matches = [server for server in servers if _is_at(server, connection)]
    if len(matches) != 1:
        # A PgBouncer behind a PgBouncer has no server's address, and makes up its PIDs as well.
        unknown = pid_defect(connection.pid) or Unlinked.UNKNOWN_SERVER
        return NoLink(Unlinked.AMBIGUOUS if matches else unknown, None, bouncer)
    if defect := pid_defect(connection.pid):
        return NoLink(defect, matches[0].server, bouncer)
    return matches[0]


def _by_address(
    checkout: Checkout, bouncers: Sequence[Bouncer], target: Endpoint
) -> Bouncer | NoLink | None:
    matches = [bouncer for bouncer in bouncers if has_address(bouncer.addresses, target)]
    if len(matches) < 2:  # noqa: PLR2004 - one is an answer, several are a choice
        return matches[0] if matches else None
    # Several processes share one address, so the one with this client is used.
    holding = [bouncer for bouncer in matches if _has_client(bouncer, checkout)]
    return holding[0] if len(holding) == 1 else NoLink(Unlinked.AMBIGUOUS, None)


def _by_client(checkout: Checkout, bouncers: Sequence[Bouncer]) -> Bouncer | None:
    # A loopback address is a different machine for each reporter, so its ports prove nothing here.
    if checkout.local is None or is_loopback(checkout.local.address):
        return None
    holding = [bouncer for bouncer in bouncers if _has_client(bouncer, checkout)]
    return holding[0] if len(holding) == 1 else None


def _has_client(bouncer: Bouncer, checkout: Checkout) -> bool:
    if bouncer.sample is None or checkout.local is None:
        return False
    return socket_of(checkout.local) in bouncer.sample.clients


def _is_at(server: LocatedServer, connection: BouncerServer) -> bool:
    if connection.local_port is None:
        return any(known.port == connection.remote.port for known in server.addresses)
    return has_address(server.addresses, connection.remote)
