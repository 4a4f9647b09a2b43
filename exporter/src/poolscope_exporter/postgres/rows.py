"""Turn rows of `pg_stat_get_activity` into sessions and counts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.session_groups import LOCAL, Owner, SessionGroup, add_up
from poolscope_exporter.core.model.sessions import Session, SessionState

HIDDEN = "hidden"
"""The state of sessions with a state that the exporter's role may not read; they are counted."""

Row = Mapping[str, Any]

_CLIENT = "client backend"
_STATEMENT_RUNNERS = frozenset({_CLIENT, "parallel worker"})


@dataclass(frozen=True, slots=True)
class Names:
    """Names of roles and databases by oid, read once a minute instead of joined at each poll."""

    roles: Mapping[int, str] = field(default_factory=dict)
    databases: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Survey:
    """The number of sessions of a server; the mappings are empty if only the total is known.

    `active_on_cpu` counts the sessions that run a statement and wait for nothing, with parallel
    workers. It is None if the exporter's role cannot read the state of every session. The sessions
    that wait for a lock are counted in `lock_waiters`, as far as they are visible.
    """

    total: int
    by_state: Mapping[str, int] = field(default_factory=dict)
    by_role: Mapping[str, int] = field(default_factory=dict)
    by_database: Mapping[str, int] = field(default_factory=dict)
    by_owner: Mapping[Owner, int] = field(default_factory=dict)
    active_on_cpu: int | None = None
    lock_waiters: int = 0


@dataclass(frozen=True, slots=True)
class GroupsAnswer:
    """The largest groups of sessions, largest first, and the sums over all groups."""

    groups: tuple[SessionGroup, ...]
    total: int
    hidden: int


def session_of(row: Row, names: Names) -> Session:
    """Return the session that a row of suspects.sql describes."""
    return Session(
        pid=row["pid"],
        hidden=row["hidden"],
        backend_start_s=row["backend_start_s"],
        backend_age_s=_age(row["backend_age_s"]),
        state=_state(row["state"]),
        state_age_s=_age(row["state_age_s"]),
        xact_age_s=_age(row["xact_age_s"]),
        query_age_s=_age(row["query_age_s"]),
        wait_event_type=row["wait_event_type"],
        wait_event=row["wait_event"],
        client=_client(row),
        database=names.databases.get(row["database_oid"]),
        user=names.roles.get(row["role_oid"]),
        application_name=row["application_name"] or "",
        backend_type=row["backend_type"],
    )


def survey_of(rows: Iterable[Row], names: Names) -> Survey:
    """Return the counts of the sessions that use a slot, from the rows of connections.sql.

    If some sessions are hidden, a state with no visible session is left out: it may have many.
    """
    states: Counter[str] = Counter({state.value: 0 for state in SessionState})
    roles: Counter[str] = Counter()
    databases: Counter[str] = Counter()
    groups = list(rows)
    sessions = list(filter(_takes_a_slot, groups))
    owners = add_up((_owner(row, names), row["sessions"]) for row in sessions)
    for row in sessions:
        count = row["sessions"]
        states[_state_name(row)] += count
        if role := names.roles.get(row["role_oid"]):
            roles[role] += count
        if database := names.databases.get(row["database_oid"]):
            databases[database] += count
    waiting = sum(row["lock_waiters"] for row in groups)
    if states[HIDDEN]:
        return Survey(states.total(), +states, roles, databases, owners, lock_waiters=waiting)
    del states[HIDDEN]
    return Survey(states.total(), states, roles, databases, owners, _on_cpu(groups), waiting)


def groups_of(rows: Iterable[Row], names: Names) -> GroupsAnswer:
    """Return the groups that the rows of session_groups.sql describe."""
    found = list(rows)
    groups = tuple(
        SessionGroup(
            *_owner(row, names), row["application_name"], _client_of_group(row), row["sessions"]
        )
        for row in found
    )
    # The exporter's own session is always counted, so there are rows.
    total, hidden = max(((row["all_sessions"], row["all_hidden"]) for row in found), default=(0, 0))
    return GroupsAnswer(groups, total, hidden)


def _client_of_group(row: Row) -> str | None:
    if row["hidden"]:
        return None
    return row["client_address"] or LOCAL


def _owner(row: Row, names: Names) -> Owner:
    return names.roles.get(row["role_oid"]), names.databases.get(row["database_oid"])


def _on_cpu(rows: Iterable[Row]) -> int:
    return sum(row["on_cpu"] for row in rows if row["backend_type"] in _STATEMENT_RUNNERS)


def _takes_a_slot(row: Row) -> bool:
    """Return whether the row is a client's session, as far as the exporter's role can read.

    If the type is hidden, a session has a database and a role, and background processes do not.
    """
    if row["backend_type"] is not None:
        return bool(row["backend_type"] == _CLIENT)
    return row["database_oid"] is not None and row["role_oid"] is not None


def _state_name(row: Row) -> str:
    if row["backend_type"] is None:
        return HIDDEN
    return (_state(row["state"]) or SessionState.OTHER).value


def _state(text: str | None) -> SessionState | None:
    if text is None:
        return None
    try:
        return SessionState(text)
    except ValueError:
        return SessionState.OTHER


def _age(seconds: float | None) -> float | None:
    """Return an age of at least 0: a snapshot may be a moment older than the clock's reading."""
    return None if seconds is None else max(0.0, seconds)


def _client(row: Row) -> Endpoint | None:
    if row["client_address"] is None or row["client_port"] is None or row["client_port"] < 0:
        return None
    return Endpoint(row["client_address"], row["client_port"])
