"""Find the session behind a PgBouncer: client socket, its server connection, the session's pid.

The pid that an application was told by a PgBouncer is invented, and may even look like a real
one. So the other end of its connection decides whether a checkout goes through a bouncer, before
any pid is looked at.
"""

from collections.abc import Sequence

from poolscope_exporter.core.fleet.retention import SETTLED_S
from poolscope_exporter.core.linking.link import (
    Link,
    LinkLevel,
    NoLink,
    Unlinked,
    choose_server,
    configured_end,
    has_address,
    pid_defect,
)
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import is_loopback
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    BouncerSample,
    BouncerServer,
    ClientState,
    socket_of,
)
from poolscope_exporter.core.model.sessions import Endpoint, Located, Sample, Session

Place = Located | Bouncer | NoLink


def choose_place(
    checkout: Checkout, servers: Sequence[Located], bouncers: Sequence[Bouncer]
) -> Place:
    """Return the server or the bouncer that the checkout's connection goes to, or why none.

    The socket's peer decides. Where nobody has that address (a balancer's, say), the one bouncer
    that has the connection as a client; then the address that the application was configured with.
    """
    peer, configured = checkout.peer, configured_end(checkout)
    if peer and (chosen := _by_address(checkout, bouncers, peer)):
        return chosen
    if peer and any(has_address(server.addresses, peer) for server in servers):
        return choose_server(checkout, servers)
    if holder := _by_client(checkout, bouncers):
        return holder
    return _by_address(checkout, bouncers, configured) or choose_server(checkout, servers)


def client_route(checkout: Checkout, bouncer: Bouncer) -> BouncerServer | NoLink:
    """Return the server connection that serves the checkout's connection, or why none does."""
    sample = bouncer.sample
    if sample is None:
        return NoLink(Unlinked.POOLER_DOWN, None, bouncer.name)
    if checkout.local is None:
        return NoLink(Unlinked.NO_WITNESS, None, bouncer.name)
    socket = socket_of(checkout.local)
    client = sample.clients.get(socket)
    if client is None:
        reason = Unlinked.CLIENT_GONE if socket in bouncer.seen else Unlinked.NO_CLIENT
        return NoLink(reason, None, bouncer.name)
    if client.state is ClientState.WAITING:
        return NoLink(Unlinked.WAITING_IN_POOLER, None, bouncer.name, client.waits_s)
    if client.server is None:
        return NoLink(
            Unlinked.IDLE_IN_POOLER,
            None,
            bouncer.name,
            bouncer.quiet_s(socket),
            bouncer.was_active(socket),
        )
    return sample.servers.get(client.server) or NoLink(Unlinked.NOT_SAMPLED, None, bouncer.name)


def choose_session_server(
    connection: BouncerServer, bouncer: str, servers: Sequence[Located]
) -> Located | NoLink:
    """Return the server that a bouncer's connection goes to, or why none can be asked."""
    if not servers:
        return NoLink(Unlinked.NO_SERVER, None, bouncer)
    matches = [server for server in servers if _is_at(server, connection)]
    if len(matches) != 1:
        # A bouncer behind a bouncer is at no server's address, and invents its pids as well.
        unknown = pid_defect(connection.pid) or Unlinked.UNKNOWN_SERVER
        return NoLink(Unlinked.AMBIGUOUS if matches else unknown, None, bouncer)
    if defect := pid_defect(connection.pid):
        return NoLink(defect, matches[0].server, bouncer)
    return matches[0]


def link_through(connection: BouncerServer, via: BouncerSample, sample: Sample) -> Link | NoLink:
    """Link to the session behind a bouncer's server connection, asked for after the bouncer was.

    The second witness is the port from which the server sees the bouncer come; over a Unix
    socket, where there is none, that the session has no address and is the same role's.
    """

    def missed(reason: Unlinked) -> NoLink:
        return NoLink(reason, sample.server, via.bouncer)

    gap_s = sample.taken_at_s - via.taken_at_s
    if connection.pid not in sample.asked or gap_s < 0:
        return missed(Unlinked.NOT_SAMPLED)
    session = sample.sessions.get(connection.pid)
    if session is None:
        return missed(Unlinked.NO_ROW)
    if session.hidden:
        return missed(Unlinked.NO_PRIVILEGE)
    if not _is_witnessed(connection, session):
        return missed(Unlinked.NO_WITNESS)
    if _is_younger_than(session, gap_s + SETTLED_S):
        return missed(Unlinked.MOVED_ON)
    return Link(LinkLevel.PGBOUNCER, sample.server, session, sample.taken_at_s, via.bouncer)


def _by_address(
    checkout: Checkout, bouncers: Sequence[Bouncer], target: Endpoint
) -> Bouncer | NoLink | None:
    matches = [bouncer for bouncer in bouncers if has_address(bouncer.addresses, target)]
    if len(matches) < 2:  # noqa: PLR2004 - one is an answer, several are a choice
        return matches[0] if matches else None
    # Several processes behind one address: the one that has the client says so.
    holding = [bouncer for bouncer in matches if _has_client(bouncer, checkout)]
    return holding[0] if len(holding) == 1 else NoLink(Unlinked.AMBIGUOUS, None)


def _by_client(checkout: Checkout, bouncers: Sequence[Bouncer]) -> Bouncer | None:
    # Loopback is another machine for each who says it, so its ports prove nothing here.
    if checkout.local is None or is_loopback(checkout.local.address):
        return None
    holding = [bouncer for bouncer in bouncers if _has_client(bouncer, checkout)]
    return holding[0] if len(holding) == 1 else None


def _has_client(bouncer: Bouncer, checkout: Checkout) -> bool:
    if bouncer.sample is None or checkout.local is None:
        return False
    return socket_of(checkout.local) in bouncer.sample.clients


def _is_at(server: Located, connection: BouncerServer) -> bool:
    if connection.local_port is None:
        return any(known.port == connection.remote.port for known in server.addresses)
    return has_address(server.addresses, connection.remote)


def _is_witnessed(connection: BouncerServer, session: Session) -> bool:
    if connection.local_port is None:
        return session.client is None and session.user == connection.user
    return session.client is not None and session.client.port == connection.local_port


def _is_younger_than(session: Session, seconds: float) -> bool:
    """Tell whether what the session does may have begun after the bouncer was asked.

    Then it may serve another client by now. A transaction keeps its session, so its age tells;
    without one (or where it is aborted, and its start is NULL) the age of the state does.
    """
    age_s = session.state_age_s if session.xact_age_s is None else session.xact_age_s
    return age_s is not None and age_s < seconds
