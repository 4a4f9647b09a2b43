"""Link a checkout to its server session: by backend PID and a second proof, never by PID alone."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolscope_exporter.core.model.checkouts import Checkout
from poolscope_exporter.core.model.endpoints import Endpoint, is_same_end
from poolscope_exporter.core.model.sessions import Session, SessionSample


@dataclass(frozen=True, slots=True)
class AgeTolerance:
    """The accepted difference of a backend's age from its connection's age, in seconds."""

    older_s: float
    younger_s: float


AGE_TOLERANCE: Final = AgeTolerance(older_s=3.0, younger_s=1.0)
"""A backend mostly looks older than its connection.

It starts before the driver reports the connection as open. TLS, authentication and the delay of the
push add to that. It can look younger only by clock rates and rounding.
"""


MAX_PID = 4_194_304
"""The highest PID on 64-bit Linux; 998 of 1000 PIDs that PgBouncer makes up are larger."""


class LinkLevel(StrEnum):
    """The proof that confirmed the PID."""

    ADDRESS = "address"
    AGE = "age"
    PGBOUNCER = "pgbouncer"


class Unlinked(StrEnum):
    """The reason why a checkout has no session; the last six are for a PgBouncer that answered.

    With `SERVER_CHANGED`, the session's server has restarted or failed over since. With
    `CLIENT_GONE`, the connection was a client of the PgBouncer earlier. With `NO_CLIENT` it never
    was, which an address translation in between explains as well. With `MOVED_ON`, its server
    connection has a transaction that is too young to be surely the same.
    """

    NO_SERVER = "no_server"
    UNKNOWN_SERVER = "unknown_server"
    AMBIGUOUS = "ambiguous"
    CONTESTED = "contested"
    NO_BACKEND_PID = "no_backend_pid"
    POOLER = "pooler"
    NOT_SAMPLED = "not_sampled"
    SERVER_DOWN = "server_down"
    NO_ROW = "no_row"
    PID_REUSED = "pid_reused"
    SERVER_CHANGED = "server_changed"
    NO_PRIVILEGE = "no_privilege"
    NO_WITNESS = "no_witness"
    POOLER_DOWN = "pooler_down"
    NO_CLIENT = "no_client"
    CLIENT_GONE = "client_gone"
    IDLE_IN_POOLER = "idle_in_pooler"
    WAITING_IN_POOLER = "waiting_in_pooler"
    MOVED_ON = "moved_on"


@dataclass(frozen=True, slots=True)
class Link:
    """The checkout's session; `taken_at_s` is the time of its sample, by the exporter's clock.

    `bouncer` is the PgBouncer in between, or None on a direct path.
    """

    level: LinkLevel
    server: str
    session: Session
    taken_at_s: float
    bouncer: str | None = None


@dataclass(frozen=True, slots=True)
class NoLink:
    """The absence of a session; `server` is None if none could be chosen.

    The checkout was idle or waiting in the pooler for at least `lasted_s`. With `was_active`, it is
    idle there, but sent a request since the previous poll.
    """

    reason: Unlinked
    server: str | None
    bouncer: str | None = None
    lasted_s: float | None = None
    was_active: bool = False


def pid_defect(pid: int | None) -> Unlinked | None:
    """Return why a PID cannot be a PostgreSQL backend's, or None if it can."""
    if pid is None:
        return Unlinked.NO_BACKEND_PID
    return None if 0 < pid <= MAX_PID else Unlinked.POOLER


def link(
    checkout: Checkout,
    reported_at_s: float,
    sample: SessionSample | None,
    *,
    server: str,
    session_start_s: float | None = None,
) -> Link | NoLink:
    """Link a checkout, as reported at `reported_at_s`, to its session in the sample.

    `session_start_s` is the `backend_start_s` of the session to which this connection was linked
    before.
    """
    defect = pid_defect(checkout.backend_pid)
    pid = checkout.backend_pid
    if defect or pid is None:
        return NoLink(defect or Unlinked.NO_BACKEND_PID, server)
    if sample is None or pid not in sample.asked:
        return NoLink(Unlinked.NOT_SAMPLED, server)
    if sample.is_refused:
        return NoLink(Unlinked.NO_PRIVILEGE, server)
    session = sample.sessions.get(pid)
    if session is None:
        return NoLink(Unlinked.NO_ROW, server)
    age_s = _age_at(checkout, reported_at_s, sample.taken_at_s)
    verdict = _witness(session, checkout.local, age_s, session_start_s)
    if isinstance(verdict, Unlinked):
        return NoLink(verdict, server)
    return Link(verdict, server, session, sample.taken_at_s)


def _witness(
    session: Session,
    local: Endpoint | None,
    connection_age_s: float | None,
    session_start_s: float | None,
) -> LinkLevel | Unlinked:
    if session.hidden:
        return Unlinked.NO_PRIVILEGE
    if session_start_s is not None and session.backend_start_s not in (None, session_start_s):
        return Unlinked.PID_REUSED
    if local and session.client and is_same_end(local, session.client):
        return LinkLevel.ADDRESS
    # A different address proves nothing (NAT, service mesh), so the age decides.
    if connection_age_s is None or session.backend_age_s is None:
        return Unlinked.NO_WITNESS
    older_by_s = session.backend_age_s - connection_age_s
    if older_by_s < -AGE_TOLERANCE.younger_s:
        return Unlinked.PID_REUSED
    return LinkLevel.AGE if older_by_s <= AGE_TOLERANCE.older_s else Unlinked.NO_WITNESS


def _age_at(checkout: Checkout, reported_at_s: float, at_s: float) -> float | None:
    if checkout.connection_age_s is None:
        return None
    return checkout.connection_age_s + (at_s - reported_at_s)
