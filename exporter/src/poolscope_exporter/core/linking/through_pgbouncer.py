"""Find the session behind a PgBouncer: client socket, its server connection, the session's pid.

The pid that an application was told by a PgBouncer is invented, and may even look like a real
one. So the other end of its connection decides whether a checkout goes through a bouncer, before
any pid is looked at.
"""

from typing import Final

from poolscope_exporter.core.linking.link import Link, LinkLevel, NoLink, Unlinked
from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.pgbouncers import (
    Bouncer,
    BouncerSample,
    BouncerServer,
    ClientState,
    socket_of,
)
from poolscope_exporter.core.model.sessions import Session, SessionSample

SETTLED_S: Final = 0.05
"""A server answers within this of being asked: what began earlier began before it was asked."""


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
            bouncer.idle_spell_s(socket),
            bouncer.was_active(socket),
        )
    return sample.servers.get(client.server) or NoLink(Unlinked.NOT_SAMPLED, None, bouncer.name)


def link_through(
    connection: BouncerServer, via: BouncerSample, sample: SessionSample
) -> Link | NoLink:
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


def _is_witnessed(connection: BouncerServer, session: Session) -> bool:
    if connection.local_port is None:
        return session.client is None and session.user == connection.user
    return session.client is not None and session.client.port == connection.local_port


def _is_younger_than(session: Session, seconds: float) -> bool:
    """Return whether what the session does may have begun after the bouncer was asked.

    Then it may serve another client by now. A transaction keeps its session, so its age tells;
    without one (or where it is aborted, and its start is NULL) the age of the state does.
    """
    age_s = session.state_age_s if session.xact_age_s is None else session.xact_age_s
    return age_s is not None and age_s < seconds
