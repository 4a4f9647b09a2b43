"""Describe server sessions: what PostgreSQL says of the backend behind a connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from poolscope_exporter.core.model.endpoints import Endpoint


class SessionState(StrEnum):
    """`pg_stat_activity.state`, as an open set: what we do not know is `OTHER`."""

    ACTIVE = "active"
    IDLE = "idle"
    IDLE_IN_TRANSACTION = "idle in transaction"
    IDLE_IN_TRANSACTION_ABORTED = "idle in transaction (aborted)"
    STARTING = "starting"
    OTHER = "other"


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
class SessionSample:
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
