"""Find the session behind a PgBouncer: client socket, server connection, backend PID.

The PID that PgBouncer gives an application is made up, and may even look like a real one. So the
peer of its connection decides whether a checkout goes through a PgBouncer, before any PID is used.
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
"""The longest time for an answer: anything that began earlier began before the query was sent."""


def client_route(checkout: Checkout, bouncer: Bouncer) -> BouncerServer | NoLink:
    """Return the server connection that serves the checkout's connection, or why there is none."""
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
    """Link to the session behind a PgBouncer's server connection.

    The server answers after PgBouncer.

    The second proof is the port from which PgBouncer connects, as the server reports it. A Unix
    socket has none, so there the session must have no address and the same role.
    """

    def missed(reason: Unlinked) -> NoLink:
        return NoLink(reason, sample.server, via.bouncer)

    gap_s = sample.taken_at_s - via.taken_at_s
    if connection.pid not in sample.asked or gap_s < 0:
        return missed(Unlinked.NOT_SAMPLED)
    session = sample.sessions.get(connection.pid)
    if sample.is_refused or (session and session.hidden):
        return missed(Unlinked.NO_PRIVILEGE)
    if session is None:
        return missed(Unlinked.NO_ROW)
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
    """Return whether the session's activity may have begun after the PgBouncer was queried.

    Then it may already serve another client. A transaction keeps its session, so its age decides.
    Without one, or if it is aborted and its start is NULL, the age of the state decides.
    """
    age_s = session.state_age_s if session.xact_age_s is None else session.xact_age_s
    return age_s is not None and age_s < seconds
