"""Describe server sessions: what PostgreSQL says of the backend behind a connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class SessionState(StrEnum):
    """`pg_stat_activity.state`, as an open set: what we do not know is `OTHER`."""

    ACTIVE = "active"
    IDLE = "idle"
    IDLE_IN_TRANSACTION = "idle in transaction"
    IDLE_IN_TRANSACTION_ABORTED = "idle in transaction (aborted)"
    STARTING = "starting"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a TCP connection."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `pg_stat_activity`; ages are seconds by the server's own clock, at least 0.

    `hidden` is true where our role may not see the session's state (it lacks
    `pg_read_all_stats`): the fields that PostgreSQL withholds are then None.
    `backend_start_s` (epoch seconds, server's clock) and `pid` together identify a session.
    """

    pid: int
    hidden: bool
    backend_start_s: float | None
    backend_age_s: float | None
    state: SessionState | None
    state_age_s: float | None
    xact_age_s: float | None
    query_age_s: float | None
    wait_event_type: str | None
    wait_event: str | None
    client: Endpoint | None
    database: str | None
    user: str | None
    application_name: str
    blocked_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What one server answered about the pids it was asked for.

    `taken_at_s` is the exporter's monotonic clock when the query was *sent*: whatever the server
    said was true at or after that instant, and no more than `took_s` after it. A pid in `asked`
    without a session has no row.
    """

    server: str
    taken_at_s: float
    asked: frozenset[int]
    sessions: Mapping[int, Session]
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Census:
    """All client sessions of one server that come from certain addresses, as far as we may see.

    `taken_at_s` is the exporter's monotonic clock when the query was sent.
    """

    server: str
    taken_at_s: float
    sessions: tuple[Session, ...]


class Privilege(StrEnum):
    """How much of other roles' sessions our role may see."""

    FULL = "full"
    MEMBER = "member"
    OWN = "own"


class Located(Protocol):
    """A server as far as it can be found: its name, and the addresses that lead to it."""

    @property
    def server(self) -> str:
        """Return the configured name."""

    @property
    def addresses(self) -> frozenset[Endpoint]:
        """Return every address by which an application may name it."""


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A server that was never reached: only what the configuration says of it is known."""

    server: str
    addresses: frozenset[Endpoint]


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Facts of a server that change only with a restart, a fail-over or a grant.

    `addresses` holds every (address, port) by which an application may name the server: as
    configured, as connected to, as the server itself says, and the configured aliases.
    """

    server: str
    version_num: int
    system_identifier: str | None
    started_at_s: float
    in_recovery: bool
    privilege: Privilege
    role: str
    addresses: frozenset[Endpoint]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits that new sessions run into; None where there is none or it cannot be known.

    `managed` sessions are those that a managed service keeps for itself, as configured.
    """

    max_connections: int
    superuser_reserved: int
    reserved: int
    role_limits: Mapping[str, int] = field(default_factory=dict)
    database_limits: Mapping[str, int] = field(default_factory=dict)
    managed: int = 0

    @property
    def usable(self) -> int:
        """Return how many sessions ordinary roles may have together."""
        return self.max_connections - self.superuser_reserved - self.reserved - self.managed
