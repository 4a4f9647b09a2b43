"""Server sessions: PostgreSQL's data on the backend behind a connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from poolscope_exporter.core.model.endpoints import Endpoint


class SessionState(StrEnum):
    """The values of `pg_stat_activity.state`; an unknown value is `OTHER`."""

    ACTIVE = "active"
    IDLE = "idle"
    IDLE_IN_TRANSACTION = "idle in transaction"
    IDLE_IN_TRANSACTION_ABORTED = "idle in transaction (aborted)"
    STARTING = "starting"
    OTHER = "other"


class IdleBlocker(NamedTuple):
    """A session that holds a lock while it runs no statement and has no open transaction.

    Only a session-level advisory lock outlives its transaction. The session has been idle for
    `idle_s`.
    """

    pid: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `pg_stat_activity`; ages are seconds by the server's own clock, at least 0.

    With `hidden`, the exporter's role lacks `pg_read_all_stats`, and the fields that PostgreSQL
    then withholds are None. The members of `blocked_by` that were visibly idle are in
    `idle_blockers`. Together, `pid` and `backend_start_s` (epoch seconds, server's clock) identify
    a session.
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
    idle_blockers: tuple[IdleBlocker, ...] = ()
    backend_type: str | None = None


@dataclass(frozen=True, slots=True)
class SessionSample:
    """One server's answer about the requested backend PIDs.

    The exporter's monotonic clock when the query was *sent* is `taken_at_s`. The answer was true at
    that time or at most `took_s` later. A PID in `asked` without a session has no row, unless the
    server refused the query (`is_refused`).
    """

    server: str
    taken_at_s: float
    asked: frozenset[int]
    sessions: Mapping[int, Session]
    took_s: float = 0.0
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Census:
    """All client sessions of one server from certain addresses, as far as they are visible.

    `taken_at_s` is the exporter's monotonic clock when the query was sent.
    """

    server: str
    taken_at_s: float
    sessions: tuple[Session, ...]
