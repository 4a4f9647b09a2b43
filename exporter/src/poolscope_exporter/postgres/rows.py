"""Turn rows of `pg_stat_get_activity` into sessions and counts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from poolscope_exporter.core.model.endpoints import Endpoint
from poolscope_exporter.core.model.sessions import Session, SessionState

HIDDEN = "hidden"
"""State of the sessions whose state our role may not see: they exist all the same."""

Row = Mapping[str, Any]

_CLIENT = "client backend"
_STATEMENT_RUNNERS = frozenset({_CLIENT, "parallel worker"})


@dataclass(frozen=True, slots=True)
class Names:
    """Names of roles and databases by oid, read once a minute instead of joined at each look."""

    roles: Mapping[int, str] = field(default_factory=dict)
    databases: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Survey:
    """How many sessions a server has; empty mappings where only the total is known.

    `active_on_cpu` are those that run a statement and wait for nothing, parallel workers included;
    None where our role may not see what all of them do.
    """

    total: int
    by_state: Mapping[str, int] = field(default_factory=dict)
    by_role: Mapping[str, int] = field(default_factory=dict)
    by_database: Mapping[str, int] = field(default_factory=dict)
    active_on_cpu: int | None = None


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
    )


def survey_of(rows: Iterable[Row], names: Names) -> Survey:
    """Return the counts of the sessions that take a slot, from the rows of connections.sql.

    Where some are hidden, a state in which none is seen is left out: it may have many.
    """
    states: Counter[str] = Counter({state.value: 0 for state in SessionState})
    roles: Counter[str] = Counter()
    databases: Counter[str] = Counter()
    groups = list(rows)
    for row in filter(_takes_a_slot, groups):
        count = row["sessions"]
        states[_state_name(row)] += count
        if role := names.roles.get(row["role_oid"]):
            roles[role] += count
        if database := names.databases.get(row["database_oid"]):
            databases[database] += count
    if states[HIDDEN]:
        return Survey(states.total(), +states, roles, databases)
    del states[HIDDEN]
    return Survey(states.total(), states, roles, databases, _on_cpu(groups))


def _on_cpu(rows: Iterable[Row]) -> int:
    return sum(row["on_cpu"] for row in rows if row["backend_type"] in _STATEMENT_RUNNERS)


def _takes_a_slot(row: Row) -> bool:
    """Tell whether the row is a client's session, as far as our role can see.

    Where the type is hidden, a session has a database and a role; background processes have not.
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
